"""Who is told when nobody acknowledges a critical alert (DESIGN.md, "Roles"). Real time, never scaled."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Step:
    """After this long without an acknowledgement this one is told; `address` is where, empty if nobody knows."""

    who: str
    after: timedelta
    address: str = ""

    @property
    def words(self) -> str:
        """The name as people say it."""
        return {"cto": "CTO", "on_call": "on-call"}.get(self.who, self.who.replace("_", " "))


#: on-call at once, and again after 5 minutes; then up the path
DEFAULT_PATH = "on_call 0, on_call 5, team_lead 10, director 20, cto 30"


class BadPath(ValueError):
    """The path of the escalation cannot be read."""


def parsed(text: str) -> tuple[Step, ...]:
    """Read "who minutes [address], …", in the order of the minutes. Raises `BadPath`, naming the step."""
    steps = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        words = part.split()
        try:
            who, minutes = words[0], float(words[1])
        except (IndexError, ValueError):
            raise BadPath(f"{part!r} is no step of an escalation: write who, minutes and perhaps an address") from None
        if len(words) > 3 or not 0 <= minutes <= 24 * 60:
            raise BadPath(f"{part!r} is no step of an escalation: who, 0 to 1440 minutes, perhaps an address")
        steps.append(Step(who, timedelta(minutes=minutes), words[2] if len(words) == 3 else ""))
    return tuple(sorted(steps, key=lambda step: step.after))


def due(path: Sequence[Step], opened_at: datetime, now: datetime, taken: int) -> list[tuple[int, Step]]:
    """The steps (place in the path, step) that are due and were not taken; `taken` were."""
    return [(place, step) for place, step in enumerate(path) if place >= taken and now - opened_at >= step.after]


def following(path: Sequence[Step], opened_at: datetime, taken: int) -> tuple[Step, datetime] | None:
    """The next step and when it is due, None at the end of the path."""
    return (path[taken], opened_at + path[taken].after) if taken < len(path) else None
