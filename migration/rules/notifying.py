"""Who hears of what, what a message of several says, and when it is tried again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

STATUS, ALERTS = "status", "alerts"
BOTH = (STATUS, ALERTS)

#: beginning of an audited action → who hears of it. What is not here is in the audit log only.
_ACTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("shift_failed", BOTH),
    ("rollback", BOTH),
    ("latch", BOTH),
    ("automation", BOTH),
    ("restore", BOTH),
    ("alert_", (ALERTS,)),
    *(
        (name, (STATUS,))
        for name in (
            "shift",
            "vote",
            "phase",
            "ramp",
            "cohort",
            "pin",
            "freeze",
            "frozen",
            "backup",
            "decommission",
            "rehearsal",
        )
    ),
)
#: what cannot wait for company
_URGENT = ("rollback", "latch", "shift_failed", "restore")

MOST_LINES = 40
FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(minutes=5)
#: a receiver that takes nothing for so long will not take it any more
GIVE_UP_AFTER = timedelta(hours=24)
_MOST_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class Line:
    """One notification in a message."""

    kind: str
    sentence: str
    at: datetime


def channels_of(action: str) -> tuple[str, ...]:
    """The channels that hear of an audited action; none for most."""
    return next((channels for start, channels in _ACTIONS if action.startswith(start)), ())


def is_urgent(action: str) -> bool:
    """Whether it is told at once, without waiting for more of the kind."""
    return action.startswith(_URGENT)


def retry_after(attempts: int, asked: float | None = None) -> timedelta:
    """How long to wait after so many failed attempts (≥ 1): doubled each time, at most 5 min.

    `asked` is what the receiver asked for (Retry-After, seconds); it is heeded up to an hour.
    """
    doublings = min(max(attempts - 1, 0), _MOST_DOUBLINGS)
    waits = min(FIRST_RETRY * (1 << doublings), LONGEST_RETRY)
    return max(waits, timedelta(seconds=min(asked, 3600.0))) if asked and asked > 0 else waits


def title(lines: Sequence[Line]) -> str:
    """The subject of a message: what it says if it says one thing, else how much of what."""
    if len(lines) == 1:
        return _short(lines[0].sentence)
    kinds: dict[str, int] = {}
    for line in lines:
        kinds[line.kind] = kinds.get(line.kind, 0) + 1
    told = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in kinds.items())
    return f"{len(lines)} messages: {told}"


def body(lines: Sequence[Line]) -> str:
    """Each thing on a line with its time, the oldest first; beyond `MOST_LINES` how many more there are."""
    told = [f"{line.at:%d %b %H:%M:%S} UTC  {line.sentence}" for line in lines[:MOST_LINES]]
    more = len(lines) - MOST_LINES
    return "\n".join([*told, f"… and {more:,} more, on the page"] if more > 0 else told)


def _short(sentence: str) -> str:
    one_line = " ".join(sentence.split())
    return one_line if len(one_line) <= 150 else f"{one_line[:149]}…"
