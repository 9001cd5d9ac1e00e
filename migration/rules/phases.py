"""The phases of the migration, as data (DESIGN.md, "The phases")."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Risk = Literal["low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: what `new` serves in it, how long it lasts, and where a rollback goes."""

    number: int
    slug: str
    name: str
    percent: int
    #: whether `new` hears copies of what legacy serves
    shadow: bool
    duration: timedelta
    risk: Risk
    #: what an operator is promised; None where nothing can be rolled back
    rollback_budget: timedelta | None
    rolls_back_to: str | None


WEEK = timedelta(weeks=1)

PHASES: tuple[Phase, ...] = (
    Phase(0, "preparation", "Preparation", 0, False, WEEK, "low", None, None),
    Phase(1, "shadow", "Parallel deployment", 0, True, WEEK, "low", timedelta(minutes=1), "preparation"),
    Phase(2, "canary_10", "Canary 10 %", 10, True, WEEK, "medium", timedelta(minutes=2), "shadow"),
    Phase(3, "rollout_25", "Rollout 25 %", 25, True, WEEK, "medium", timedelta(minutes=2), "canary_10"),
    Phase(4, "rollout_50", "Rollout 50 %", 50, True, WEEK, "high", timedelta(minutes=5), "rollout_25"),
    Phase(5, "full_100", "Full 100 %", 100, True, WEEK, "high", timedelta(minutes=10), "rollout_50"),
    Phase(6, "decommission", "Decommission", 100, True, 2 * WEEK, "low", timedelta(minutes=10), "rollout_50"),
)

_BY_SLUG = {phase.slug: phase for phase in PHASES}


class UnknownPhase(ValueError):
    """Nobody knows a phase by this word."""

    def __init__(self, word: str) -> None:
        known = ", ".join(f"{phase.number} {phase.slug}" for phase in PHASES)
        super().__init__(f"unknown phase {word!r}; known are {known}")


def phase_of(word: str) -> Phase:
    """Return the phase with this slug or number. Raises `UnknownPhase`, which names those that exist."""
    if word in _BY_SLUG:
        return _BY_SLUG[word]
    if word.isdecimal() and int(word) < len(PHASES):
        return PHASES[int(word)]
    raise UnknownPhase(word)


def next_phase(phase: Phase) -> Phase | None:
    """Return the phase after this one, or None after the last."""
    return PHASES[phase.number + 1] if phase.number + 1 < len(PHASES) else None


def rollback_target(phase: Phase) -> Phase | None:
    """Return where a rollback from this phase goes, or None where there is nothing to go back to."""
    return _BY_SLUG[phase.rolls_back_to] if phase.rolls_back_to else None


def emergency_target(phase: Phase) -> Phase:
    """Return the phase that an emergency lands in: 0 % in any case, shadow where `new` was heard already."""
    return _BY_SLUG["shadow"] if phase.number > 1 else _BY_SLUG["preparation"]
