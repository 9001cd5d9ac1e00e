"""The way into a phase in steps: cohorts first, then the ramp's percents, each with time to bake."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from migration.rules.phases import Phase
from migration.rules.settings import PhaseSettings


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the split it goes to, and the cohort that goes over with it ("" for none)."""

    percent: int
    cohort: str = ""

    @property
    def words(self) -> str:
        """As an operator reads it."""
        return f"{self.cohort} at {self.percent} %" if self.cohort else f"{self.percent} %"


class Move(StrEnum):
    """What is due on a ramp."""

    WAIT = "wait"
    STEP = "step"
    ARRIVED = "arrived"


def steps_into(phase: Phase, settings: PhaseSettings, from_percent: int) -> tuple[Step, ...]:
    """Return the steps into a phase; the last is always the phase's own percentage, and it may be the only one.

    A cohort goes over at the split there is. Steps that the split has passed already are left out.
    """
    cohorts = [Step(from_percent, cohort) for cohort in settings.cohorts]
    between = [Step(percent) for percent in settings.ramp if from_percent < percent < phase.percent]
    return (*cohorts, *between, Step(phase.percent))


def next_move(
    *,
    steps: Sequence[Step],
    reached: int,
    reached_at: datetime,
    bake: timedelta,
    now: datetime,
    held_by: Sequence[str],
) -> tuple[Move, str]:
    """Say what is due after step `reached` was observed, and why. `bake` is already scaled.

    Time alone never moves anything: `held_by` is what stands in the way, and an inconclusive gate is in it.
    """
    if reached + 1 >= len(steps):
        return Move.ARRIVED, f"every step was observed: {steps[-1].words}"
    due = reached_at + bake
    if now < due:
        return Move.WAIT, f"bakes until {due:%d %b %H:%M:%S} UTC"
    if held_by:
        return Move.WAIT, "; ".join(held_by)
    return Move.STEP, f"{steps[reached].words} has baked and nothing stands in the way"
