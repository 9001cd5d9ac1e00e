"""Signals that wait to be sent, and when: no clock, no I/O. Each is dated by the robot, so a late one still counts."""

from collections import deque
from dataclasses import dataclass
from typing import Any

MOST_WAITING = 600
MOST_IN_ONE = 50
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 1.0, 30.0
#: a system that does not know signals, a token that is refused
_HOPELESS_SECONDS = {401: 30.0, 403: 30.0, 404: 60.0, 405: 60.0}


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: an HTTP status, or None when nothing did."""

    status: int | None
    retry_after_s: float | None = None


class Outbox:
    """Oldest first; when it is full the oldest is dropped and counted."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._waiting: deque[dict[str, Any]] = deque(maxlen=most)
        self._in_flight: tuple[dict[str, Any], ...] = ()
        self._retry_at = float("-inf")
        self._retry_seconds = _FIRST_RETRY_SECONDS
        self.counts = {"made": 0, "sent": 0, "dropped": 0, "refused": 0}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, signal: dict[str, Any]) -> None:
        """One more."""
        if len(self._waiting) == self._waiting.maxlen:
            self.counts["dropped"] += 1
        self._waiting.append(signal)
        self.counts["made"] += 1

    def due_at(self) -> float | None:
        """When to send next; None while nothing waits."""
        return self._retry_at if self._waiting else None

    def take(self) -> list[dict[str, Any]]:
        """What to send now; `answered` says what became of it."""
        self._in_flight = tuple(list(self._waiting)[:MOST_IN_ONE])
        return list(self._in_flight)

    def answered(self, answer: Answered, now: float) -> str | None:
        """Keep or drop what was sent. Returns a sentence for the log where something is wrong."""
        status, sent = answer.status, self._in_flight
        self._in_flight = ()
        if status is not None and 200 <= status < 300:
            self._forget(sent, "sent")
            self._retry_at, self._retry_seconds = float("-inf"), _FIRST_RETRY_SECONDS
            return None
        if status in (400, 413, 422):
            self._forget(sent, "refused")
            return f"signals are refused ({status})"
        self._retry_at = now + max(answer.retry_after_s or 0.0, _HOPELESS_SECONDS.get(status or 0, self._retry_seconds))
        self._retry_seconds = min(self._retry_seconds * 2, _LAST_RETRY_SECONDS)
        return "signals are not answered" if status is None else f"signals are not taken ({status})"

    def _forget(self, sent: tuple[dict[str, Any], ...], counted_as: str) -> None:
        gone = {id(each) for each in sent}
        while self._waiting and id(self._waiting[0]) in gone:
            self._waiting.popleft()
        self.counts[counted_as] += len(sent)
