"""Who is told when nobody acknowledges a critical alert (DESIGN.md, "Roles"). Real time, never scaled."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Step:
    """After this long without an acknowledgement this duty is told; `name` and `address` are empty if unknown."""

    who: str
    after: timedelta
    name: str = ""
    address: str = ""

    @property
    def words(self) -> str:
        """The duty, and who that is, as people say it."""
        duty = {"cto": "CTO", "qa": "QA", "on_call": "on-call"}.get(self.who, self.who.replace("_", " "))
        return f"{duty} ({self.name})" if self.name else duty

    @property
    def lacks(self) -> str:
        """Why no message can reach this step, "" when one can."""
        if self.address:
            return ""
        return "no e-mail reaches them: call" if self.name else "the contacts name nobody"


def due(path: Sequence[Step], opened_at: datetime, now: datetime, taken: int) -> list[tuple[int, Step]]:
    """The steps (place in the path, step) that are due and were not taken; `taken` were."""
    return [(place, step) for place, step in enumerate(path) if place >= taken and now - opened_at >= step.after]


def following(path: Sequence[Step], opened_at: datetime, taken: int) -> tuple[Step, datetime] | None:
    """The next step and when it is due, None at the end of the path."""
    return (path[taken], opened_at + path[taken].after) if taken < len(path) else None
