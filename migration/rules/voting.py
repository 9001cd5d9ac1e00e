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


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many go votes a step needs, whose no-go blocks, and how long a vote lives (never scaled)."""

    needed: int = 4
    must_include: Role = Role.MIGRATION_LEAD
    vote_lives: timedelta = timedelta(hours=24)


def is_void(ballot: Ballot, *, judged: str, now: datetime, quorum: Quorum) -> bool:
    """Whether a vote no longer counts: it judged another build or other settings, or it is too old."""
    return ballot.judged != judged or now - ballot.cast_at > quorum.vote_lives


def consensus(ballots: Sequence[Ballot], *, judged: str, now: datetime, quorum: Quorum = Quorum()) -> Judgement:
    """Judge the votes of a phase run: a quorum of roles says go, the lead among them; a no-go of the lead blocks."""
    valid = {ballot.role: ballot for ballot in ballots if not is_void(ballot, judged=judged, now=now, quorum=quorum)}
    lead = valid.get(quorum.must_include)
    if lead and lead.choice is Choice.NO_GO:
        because = f": {lead.comment}" if lead.comment else ""
        return Judgement(Verdict.FAIL, f"blocked by the {quorum.must_include.words.lower()}{because}")
    going = {role for role, ballot in valid.items() if ballot.choice is Choice.GO}
    if len(going) >= quorum.needed and quorum.must_include in going:
        return Judgement(Verdict.PASS, f"{len(going)} of {len(Role)} say go, the lead among them")
    missing = quorum.needed - len(going)
    wants = [f"{missing} more go votes needed" if missing > 1 else "1 more go vote needed"] if missing > 0 else []
    if quorum.must_include not in going:
        wants.append(f"the {quorum.must_include.words.lower()} has not said go")
    return Judgement(Verdict.INCONCLUSIVE, f"{len(going)} of {quorum.needed} go votes; {', '.join(wants)}")
