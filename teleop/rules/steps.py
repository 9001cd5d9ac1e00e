"""Making steps: what happened to a robot or its session, with the evidence."""

from dataclasses import replace

from teleop.rules.fusion import Verdict
from teleop.rules.signals import Driver
from teleop.rules.standing import Ending, Event, Open, State, Step


def end_of(
    opened: Open,
    ending: Ending,
    known_at: float,
    because: str,
    *,
    state: State = State.UNKNOWN,
    verdict: Verdict | None = None,
) -> Event:
    """The end of a session: with its last command, whenever that is known."""
    at = opened.until if opened.lost_at is None else opened.lost_at
    return replace(
        step_of(Step.ENDED, max(at, opened.began), known_at, state, because, opened=opened, verdict=verdict),
        ending=ending,
    )


def step_of(
    step: Step,
    at: float,
    known_at: float,
    state: State,
    because: str,
    *,
    opened: Open | None = None,
    verdict: Verdict | None = None,
    operator: str = "",
) -> Event:
    """A step with the evidence of `verdict`; without one it follows from time alone."""
    return Event(
        step=step,
        at=at,
        known_at=known_at,
        state=state,
        because=because,
        session=opened.id if opened else "",
        confidence=verdict.confidence if verdict else 1.0,
        evidence=tuple(verdict.evidence) if verdict else (),
        driver=opened.driver if opened else Driver.UNKNOWN,
        operator=operator,
    )
