"""The checklist as it stands now: every point with its judgement, evidence, role and age."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from migration.checklist import running, signing
from migration.checklist.registry import checks, refused_waivers, waivers
from migration.rules import prechecks
from migration.rules.prechecks import Found
from migration.rules.sequential import Judgement, Verdict
from migration.rules.voting import Role

_ORDER = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2, Verdict.WAIVED: 3}


@dataclass(frozen=True, slots=True)
class Point:
    """One line of the checklist. `is_signed_by_hand` tells the points that a person signs."""

    name: str
    title: str
    role: Role
    verdict: Verdict
    sentence: str
    fix: str
    is_signed_by_hand: bool
    at: datetime | None = None
    seconds: float | None = None
    by: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def judgement(self) -> Judgement:
        """As a gate takes it."""
        return Judgement(self.verdict, self.sentence)


def points(now: datetime) -> list[Point]:
    """Every point, checks before signatures, failures first among each."""
    found = [*_checked(now), *_signed()]
    return sorted(found, key=lambda point: (point.is_signed_by_hand, _ORDER[point.verdict]))


def judge(now: datetime) -> tuple[Judgement, dict[str, Any]]:
    """What the gate of Preparation says, with its evidence."""
    found = points(now)
    judgement = prechecks.checklist({point.title: point.judgement for point in found})
    if wrong := refused_waivers():
        judgement = Judgement(Verdict.FAIL, "; ".join(wrong))
    lines = [[point.name, point.verdict, point.sentence] for point in found]
    return judgement, {"checks": lines}


def as_plain(point: Point) -> dict[str, Any]:
    """For JSON."""
    return {**asdict(point), "at": point.at.isoformat() if point.at else None}


def _checked(now: datetime) -> list[Point]:
    latest, waived = running.latest_results(), waivers()
    lines = []
    for check in checks().values():
        result = latest.get(check.name)
        found = Found(Verdict(result.verdict), result.sentence, result.at) if result else None
        says = prechecks.now_says(found, fresh_for=check.fresh_for, waiver=waived.get(check.name, ""), now=now)
        lines.append(
            Point(
                name=check.name,
                title=check.title,
                role=check.role,
                verdict=says.verdict,
                sentence=says.sentence,
                fix=check.fix,
                is_signed_by_hand=False,
                at=result.at if result else None,
                seconds=result.seconds if result else None,
                by=result.asked_by if result else "",
                evidence=result.evidence if result else {},
            )
        )
    return lines


def _signed() -> list[Point]:
    given = signing.signatures()
    lines = []
    for subject in signing.SUBJECTS.values():
        signed = given.get(subject.name)
        says = prechecks.signature(signed, subject.role.words)
        lines.append(
            Point(
                name=subject.name,
                title=subject.title,
                role=subject.role,
                verdict=says.verdict,
                sentence=says.sentence,
                fix=f"{subject.role.words} signs that {subject.means}.",
                is_signed_by_hand=True,
                at=signed.at if signed else None,
                by=signed.person if signed else "",
            )
        )
    return lines
