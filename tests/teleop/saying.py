"""What a robot says, in the words of a test."""

from typing import Any

from teleop.following.fleet import Changed, Fleet
from teleop.following.log import Said
from teleop.rules.standing import Step

KEY = b"lekiwi_1"


def said(at: float, *, received: float | None = None, run: str = "a", **document: Any) -> Said:
    """Signals that were measured at `at`; the robot's own clock began at -1000."""
    heard = at if received is None else received
    document = {"measured_ms": (at + 1000) * 1000, "next_in_ms": 250, "host_up": True, **document}
    return Said(KEY, "Lekiwi_1", heard, heard, run, document, "")


def driven(at: float, since: float, **document: Any) -> Said:
    """Commands flow since `since`."""
    flowing = {"command_age_ms": 20, "command_rate_hz": 30, "commanded_for_ms": (at - since) * 1000}
    return said(at, **{**flowing, "watchdog_active": False, **document})


def stopped(at: float, last: float, **document: Any) -> Said:
    """The latest command came at `last`."""
    stale = {"command_age_ms": (at - last) * 1000, "command_rate_hz": 0, "watchdog_active": True}
    return said(at, **{**stale, **document})


class Robot:
    """A robot that was heard at rest, and what became of what it says."""

    def __init__(self) -> None:
        numbers = iter(range(1_000))
        self.fleet = Fleet(lambda: f"session-{next(numbers)}")
        self.changes: list[Changed] = []
        self.hear(said(0.0, watchdog_active=True, command_rate_hz=0))

    def hear(self, *words: Said) -> "Robot":
        for each in words:
            self.changes += self.fleet.hear(each)
        return self

    def drive(self, begin: float, end: float, **document: Any) -> "Robot":
        """Reports four times a second while commands flow."""
        at = begin + 0.1
        while at < end:
            self.hear(driven(at, begin, **document))
            at += 0.25
        return self.hear(driven(end, begin, **document))

    def wait(self, until: float) -> "Robot":
        self.changes += self.fleet.pass_time(until)
        return self

    @property
    def steps(self) -> list[tuple[Step, float]]:
        """Steps of sessions, with when they were so."""
        return [
            (each.event.step, round(each.event.at, 2)) for each in self.changes if each.event.step is not Step.STOOD
        ]

    @property
    def state(self) -> str:
        return self.fleet.robots[KEY].standing.state.value

    @property
    def endings(self) -> list[str]:
        return [each.event.ending.value for each in self.changes if each.event.ending]
