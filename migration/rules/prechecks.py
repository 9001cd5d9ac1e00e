"""The checklist before the migration as a judgement: what each point says now, and all of them together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from migration.rules.sequential import Judgement, Verdict


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found when it last ran."""

    verdict: Verdict
    sentence: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature, and whether what it vouched for has changed since."""

    person: str
    comment: str
    at: datetime
    is_void: bool = False


def now_says(found: Found | None, *, fresh_for: timedelta, waiver: str, now: datetime) -> Judgement:
    """What a check says now. Too old is not known; only what does not pass can be waived, and then it says so.

    `waiver` is why a setting lets the migration begin without it, empty where none does. Ages are never scaled.
    """
    if found is None:
        judgement = Judgement(Verdict.INCONCLUSIVE, "has not run yet")
    elif now - found.at > fresh_for:
        age = (now - found.at).total_seconds()
        judgement = Judgement(Verdict.INCONCLUSIVE, f"said {found.verdict} {age:,.0f} s ago, run it again")
    else:
        judgement = Judgement(found.verdict, found.sentence)
    if waiver and judgement.verdict is not Verdict.PASS:
        return Judgement(Verdict.WAIVED, f"{waiver} (found: {judgement.sentence})")
    return judgement


def signature(signed: Signed | None, role: str) -> Judgement:
    """What a point says that only a person can know."""
    if signed is None:
        return Judgement(Verdict.INCONCLUSIVE, f"not signed by {role} yet")
    if signed.is_void:
        return Judgement(Verdict.INCONCLUSIVE, f"what {signed.person} signed has changed since: sign again")
    return Judgement(Verdict.PASS, f"{signed.person}: {signed.comment}")


def checklist(points: Mapping[str, Judgement]) -> Judgement:
    """Judge all points together: a failure by name first, then what is not known, else pass with what is waived."""
    failed = _told(points, Verdict.FAIL)
    if failed:
        return Judgement(Verdict.FAIL, "; ".join(failed))
    open_points = _told(points, Verdict.INCONCLUSIVE)
    if open_points or not points:
        return Judgement(Verdict.INCONCLUSIVE, "; ".join(open_points) or "no check has run yet")
    waived = [name for name, point in points.items() if point.verdict is Verdict.WAIVED]
    told = f"; waived by a setting: {', '.join(waived)}" if waived else ""
    return Judgement(Verdict.PASS, f"{len(points) - len(waived)} of {len(points)} points hold{told}")


def _told(points: Mapping[str, Judgement], verdict: Verdict) -> list[str]:
    return [f"{name}: {point.sentence}" for name, point in points.items() if point.verdict is verdict]


def count(points: Sequence[Judgement]) -> dict[Verdict, int]:
    """How many points say what."""
    return {verdict: sum(1 for point in points if point.verdict is verdict) for verdict in Verdict}
