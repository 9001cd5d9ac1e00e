"""Planned silence: whom a maintenance window concerns, and when an alarm is due in spite of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

#: an end so far away is none, and nothing can be added to it
LAST_YEAR = 9_000


class Scope(StrEnum):
    """Whom a window concerns."""

    EVERYTHING = "everything"
    SITE = "site"
    KIND = "kind"
    TAG = "tag"
    ROBOTS = "robots"


@dataclass(frozen=True, slots=True)
class Planned:
    """A maintenance window from `starts_at` until before `ends_at`; without an end it is a pause that somebody lifts.

    `value` is the site, kind or tag; `keys` are the robots of scope `robots`.
    """

    id: int
    scope: Scope
    value: str
    keys: frozenset[bytes]
    starts_at: datetime
    ends_at: datetime | None
    reason: str

    def covers(self, at: datetime) -> bool:
        """Whether the window is in force at this moment."""
        return self.starts_at <= at and (self.ends_at is None or at < self.ends_at)

    def concerns(self, key: bytes, site: str, kind: str, tags: Iterable[str]) -> bool:
        """Whether the window is about this robot."""
        match self.scope:
            case Scope.EVERYTHING:
                return True
            case Scope.SITE:
                return site == self.value
            case Scope.KIND:
                return kind == self.value
            case Scope.TAG:
                return self.value in tags
            case Scope.ROBOTS:
                return key in self.keys


def covering(windows: Iterable[Planned], at: datetime) -> Planned | None:
    """The window in force at `at` that lasts longest."""
    found = None
    for window in windows:
        if window.covers(at) and (found is None or found.ends_at is not None):
            later = window.ends_at is None or found is None or (found.ends_at and window.ends_at > found.ends_at)
            found = window if later else found
    return found


def alarm_at(became_at: datetime, patience: timedelta, windows: Sequence[Planned]) -> datetime | None:
    """When somebody is to be told of a silence that became true at `became_at`; None: not before a pause is lifted.

    What fell silent in a window has `patience` to come back after its end, then it is told like any other.
    """
    at = became_at
    # Each turn moves past the end of one window, so there are at most as many turns as windows.
    for _ in range(len(windows) + 1):
        window = covering(windows, at)
        if window is None:
            return at
        if window.ends_at is None or window.ends_at.year > LAST_YEAR:
            return None
        at = window.ends_at + patience
    return at
