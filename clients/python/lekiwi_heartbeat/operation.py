"""Signals of operation between heartbeats: when to send one, so that a change is known at once and nothing floods."""

from collections.abc import Mapping
from typing import Any

from lekiwi_heartbeat import words

#: the robot's own definition: its watchdog stops the base when no command came for this long
COMMAND_TIMEOUT_MS = 500
#: members that measure change all the time; that they did is no news
_MEASURES = ("_ms", "_hz", "_percent", "_kbps", "fps")
#: while somebody drives, so that a robot that falls silent is noticed; and after any signal at all, seconds
LIVE_SECONDS, SHORTEST_SECONDS = 0.25, 0.1
#: after one that was refused
REST_SECONDS = 1.0
#: what waited longer is no news any more: the next heartbeat says how it is
STALE_SECONDS = 2.0


def is_driven(said: Mapping[str, Any]) -> bool:
    """Whether commands reach the robot, as far as it or one of its flows, devices and operators says."""
    ages = [said[name] for name in ("command_age_ms", "received_age_ms", "active_age_ms") if said.get(name) is not None]
    parts = [part for name in ("flows", "devices", "operators") for part in said.get(name) or ()]
    return ages[0] <= COMMAND_TIMEOUT_MS if ages else any(is_driven(part) for part in parts)


def mark(said: Any) -> Any:
    """What is said without its measurements: two marks differ when something happened."""
    if isinstance(said, Mapping):
        kept = {name: mark(value) for name, value in said.items() if not name.endswith(_MEASURES)}
        return {**kept, "driven": is_driven(said)}
    return [mark(each) for each in said] if isinstance(said, list) else said


class Signals:
    """The latest signal that is worth sending, until it was sent."""

    def __init__(self, boot_id: str) -> None:
        self._boot_id = boot_id
        self._waiting: dict[str, Any] | None = None
        self._since = 0.0
        self._mark: Any = None
        self._sent_at = float("-inf")

    def say(self, said: Mapping[str, Any], now: float) -> None:
        """How operation stands at `now` (monotonic seconds). The newest replaces what still waits."""
        is_news = mark(said) != self._mark
        if is_news or self._waiting is not None or (is_driven(said) and now - self._sent_at >= LIVE_SECONDS):
            self._waiting, self._since = {"measured_ms": round(now * 1000, 1), **said}, now

    def due_at(self, now: float) -> float:
        """When the one that waits may go; infinity when none does."""
        if self._waiting is not None and now - self._since > STALE_SECONDS:
            self._waiting = None
        return float("inf") if self._waiting is None else self._sent_at + SHORTEST_SECONDS

    def take(self, now: float, **head: Any) -> bytes:
        """Its body; `head` is what a frame has before it. Only when it is due."""
        assert self._waiting is not None
        said, self._waiting = self._waiting, None
        self._mark, self._sent_at = mark(said), now
        return words.encode({**head, "boot_id": self._boot_id, "signals": [said]})

    def failed(self, now: float) -> None:
        """It did not get through: the next one is news again, but not at once."""
        self._mark, self._sent_at = None, now + REST_SECONDS
