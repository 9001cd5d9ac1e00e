"""Who may vote, and what the votes say together (DESIGN.md, gate "Consensus")."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from migration.rules.sequential import Judgement, Verdict


class Role(StrEnum):
    """The six roles that vote; their values are the names of the groups people are in."""

    MIGRATION_LEAD = "migration_lead"
    INFRASTRUCTURE = "infrastructure"
    BACKEND = "backend"
    MONITORING = "monitoring"
    QA = "qa"
    ON_CALL = "on_call"

    @property
    def words(self) -> str:
        """The role as people say it."""
        return {"qa": "QA", "on_call": "On-call"}.get(self.value, self.value.replace("_", " ").capitalize())

    @property
    def label(self) -> str:
        """Two letters, for a face."""
        return {
            Role.MIGRATION_LEAD: "ML",
            Role.INFRASTRUCTURE: "IN",
            Role.BACKEND: "BE",
            Role.MONITORING: "MO",
            Role.QA: "QA",
            Role.ON_CALL: "OC",
        }[self]


class Choice(StrEnum):
    """What a person says to the next step."""

    GO = "go"
    NO_GO = "no_go"
    ABSTAIN = "abstain"


@dataclass(frozen=True, slots=True)
class Ballot:
    """One vote as it was cast; `judged` names the build and settings that the person judged."""

    role: Role
    person: str
    choice: Choice
    comment: str
    cast_at: datetime
    judged: str
    as_backup: bool = False
    #: why it was voided, "" while nobody did
    void_reason: str = ""


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many go votes a step needs, whose no-go blocks, and how long a vote lives (never scaled)."""

    needed: int = 4
    must_include: Role = Role.MIGRATION_LEAD
    vetoes: tuple[Role, ...] = (Role.MIGRATION_LEAD,)
    vote_lives: timedelta = timedelta(hours=24)


def judged_as(build: str, slug: str, percent: int, evidence_from: datetime, settings: str) -> str:
    """Name what a vote judges: the build, the phase at its split, the evidence since, and the changed settings."""
    return f"{build}/{slug}/{percent}/{evidence_from:%Y%m%dT%H%M%S.%f}/{settings}"


def why_void(ballot: Ballot, *, judged: str, now: datetime, quorum: Quorum) -> str:
    """Return why a vote no longer counts: what voided it, what changed since, or its age; "" while it counts."""
    if ballot.void_reason:
        return ballot.void_reason
    if ballot.judged != judged:
        return _changed(ballot.judged.rsplit("/", 4), judged.rsplit("/", 4))
    if now - ballot.cast_at > quorum.vote_lives:
        return f"older than {quorum.vote_lives.total_seconds() / 3600:g} h"
    return ""


def _changed(then: list[str], now: list[str]) -> str:
    if len(then) != len(now) or then[0] != now[0]:
        return f"it judged build {then[0]}, and {now[0]} runs now"
    if then[-1] != now[-1]:
        return "the settings were changed"
    return "the evidence it judged began again"


def is_void(ballot: Ballot, *, judged: str, now: datetime, quorum: Quorum) -> bool:
    """Whether a vote no longer counts."""
    return bool(why_void(ballot, judged=judged, now=now, quorum=quorum))


def consensus(ballots: Sequence[Ballot], *, judged: str, now: datetime, quorum: Quorum = Quorum()) -> Judgement:
    """Judge the votes of a phase run: a quorum of roles says go, the lead among them; a no-go with a veto blocks."""
    valid = {ballot.role: ballot for ballot in ballots if not is_void(ballot, judged=judged, now=now, quorum=quorum)}
    for role in Role:
        ballot = valid.get(role)
        if role in quorum.vetoes and ballot and ballot.choice is Choice.NO_GO:
            because = f": {ballot.comment}" if ballot.comment else ""
            return Judgement(Verdict.FAIL, f"blocked by the {_said(role)}{because}")
    going = {role for role, ballot in valid.items() if ballot.choice is Choice.GO}
    if len(going) >= quorum.needed and quorum.must_include in going:
        among = "the lead" if quorum.must_include is Role.MIGRATION_LEAD else _said(quorum.must_include)
        return Judgement(Verdict.PASS, f"{len(going)} of {len(Role)} say go, {among} among them")
    missing = quorum.needed - len(going)
    wants = [f"{missing} more go votes needed" if missing > 1 else "1 more go vote needed"] if missing > 0 else []
    if quorum.must_include not in going:
        wants.append(f"the {_said(quorum.must_include)} has not said go")
    told = [f"{len(going)} of {quorum.needed} go votes", ", ".join(wants)]
    told += _void_ones(ballots, valid, judged=judged, now=now, quorum=quorum)
    return Judgement(Verdict.INCONCLUSIVE, "; ".join(told))


def _void_ones(
    ballots: Sequence[Ballot], valid: dict[Role, Ballot], *, judged: str, now: datetime, quorum: Quorum
) -> list[str]:
    """Return which roles must vote again and why, one phrase for each reason: "void of QA: older than 24 h"."""
    why: dict[str, list[str]] = {}
    for ballot in ballots:
        reason = why_void(ballot, judged=judged, now=now, quorum=quorum)
        if reason and ballot.role not in valid:
            why.setdefault(reason, []).append(_said(ballot.role))
    return [f"void of {', '.join(roles)}: {reason}" for reason, roles in why.items()]


def _said(role: Role) -> str:
    return role.words if role is Role.QA else role.words.lower()
