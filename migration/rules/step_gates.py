"""Gates of a step beside the traffic itself: the way back, who watches, external checks, what ends the migration."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from migration.rules.gates import Proof, worst_of
from migration.rules.sequential import Judgement, Verdict
from migration.rules.way_back import WayBack

#: how recently somebody on watch must have had the page in front of them (never scaled)
PRESENT_WITHIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an external check said."""

    name: str
    moment: str
    verdict: Verdict
    sentence: str


def way_back(found: WayBack | None) -> Judgement:
    """Could everything go back? Forward is refused while it could not."""
    if found is None:
        return Judgement(Verdict.INCONCLUSIVE, "nobody measures whether the way back is open")
    if found.whole:
        return Judgement(Verdict.PASS, "the way back is whole")
    return Judgement(Verdict.FAIL, f"the way back is broken: {found.cause}")


def watch(needed: bool, present: Sequence[tuple[str, datetime]], now: datetime) -> Judgement:
    """Is somebody on watch who can act? `present` are people who may roll back, with when they were seen last."""
    here = [name for name, at in present if now - at <= PRESENT_WITHIN]
    if here:
        return Judgement(Verdict.PASS, f"on watch: {', '.join(here)}")
    if not needed:
        return Judgement(Verdict.PASS, "nobody needs to be on watch for this step")
    within = f"{PRESENT_WITHIN.total_seconds():.0f} s"
    return Judgement(Verdict.INCONCLUSIVE, f"nobody who may roll back was present within {within}: open the dashboard")


def external(answers: Sequence[Answer], configured: int) -> Judgement:
    """Did every external check agree? One that did not answer in time is inconclusive, never a yes."""
    if not configured:
        return Judgement(Verdict.PASS, "no external check is configured")
    if not answers:
        return Judgement(Verdict.INCONCLUSIVE, f"{configured} external checks have not been asked yet")
    return worst_of([Judgement(answer.verdict, f"{answer.name}: {answer.sentence}") for answer in answers])


def warm_legacy(warm_since: datetime | None, needed: timedelta, now: datetime) -> Judgement:
    """Was legacy warm for long enough, so that everybody trusts what replaced it? `needed` is already scaled."""
    if warm_since is None:
        return Judgement(Verdict.INCONCLUSIVE, "nobody measures since when legacy is warm")
    due = warm_since + needed
    if now >= due:
        return Judgement(Verdict.PASS, f"legacy has been warm since {warm_since:%d %b %H:%M:%S} UTC")
    return Judgement(
        Verdict.INCONCLUSIVE, f"legacy is warm since {warm_since:%d %b %H:%M:%S}, until {due:%d %b %H:%M:%S}"
    )


def proven(what: str, proof: Proof | None, since: datetime) -> Judgement:
    """Was `what` proven since `since`? A proof from before says nothing about today."""
    if proof is None:
        return Judgement(Verdict.INCONCLUSIVE, f"no {what} yet")
    if not proof.passed:
        return Judgement(Verdict.FAIL, proof.sentence)
    if proof.at is None or proof.at < since:
        return Judgement(Verdict.INCONCLUSIVE, f"the latest {what} is from before this phase: {proof.sentence}")
    return Judgement(Verdict.PASS, proof.sentence)
