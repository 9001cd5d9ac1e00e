"""What the core asks its driver to do, and what it tells the robot."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Route(StrEnum):
    """How a heartbeat reached the system."""

    SOCKET = "socket"
    HTTP = "http"
    LEGACY = "legacy"


@dataclass(frozen=True)
class Beat:
    """One heartbeat: `body` is its v2 JSON, the same however often it is sent; `made_at` is monotonic seconds."""

    sequence: int
    body: bytes
    made_at: float


@dataclass(frozen=True)
class Open:
    """Open the WebSocket. Its number tells it from the ones before."""

    connection: int


@dataclass(frozen=True)
class Send:
    """Send text frames over this connection."""

    connection: int
    frames: tuple[bytes, ...]


@dataclass(frozen=True)
class Drop:
    """Close this connection at once."""

    connection: int
    reason: str


@dataclass(frozen=True)
class Post:
    """One HTTP request; the answer must come within `patience_seconds`."""

    route: Route
    path: str
    body: bytes
    beats: tuple[Beat, ...]
    patience_seconds: float


@dataclass(frozen=True)
class Wait:
    """Nothing to do before `until` (monotonic seconds; None: before the next heartbeat or frame)."""

    until: "float | None"


Action = Open | Send | Drop | Post | Wait


@dataclass(frozen=True)
class Answer:
    """What came back from HTTP: the parsed JSON (None if it is none), and `Retry-After` in seconds."""

    status: int
    content: Any = None
    retry_after_seconds: "float | None" = None


@dataclass(frozen=True)
class Acknowledged:
    """The system has stored the heartbeat."""

    beat: Beat
    route: Route


@dataclass(frozen=True)
class Refused:
    """The system will never take this heartbeat: what is wrong with it, by field."""

    beat: Beat
    errors: Sequence[Any]


@dataclass(frozen=True)
class Dropped:
    """The buffer was full, so the oldest heartbeat is gone."""

    beat: Beat


@dataclass(frozen=True)
class Command:
    """The system asks the robot to do something."""

    id: str
    name: str
    arguments: Any


@dataclass(frozen=True)
class Changed:
    """Heartbeats take another way now, or fail to: for the robot's log."""

    sentence: str


Event = Acknowledged | Refused | Dropped | Command | Changed
