"""What the watcher keeps of each robot in memory."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from heartbeat.rules.liveness import Liveness, thresholds
from heartbeat.rules.transitions import Heard

_thresholds = lru_cache(maxsize=4096)(thresholds)


@dataclass(slots=True)
class Reading:
    """A robot as the database has it now."""

    key: bytes
    robot_id: str
    site: str
    kind: str
    tags: tuple[str, ...]
    #: None: the fleet's usual interval
    interval_seconds: float | None
    grace_seconds: float | None
    first_at: datetime | None
    last_at: datetime | None
    is_legacys: bool


@dataclass(slots=True)
class Held:
    """The columns of `RobotLiveness`, which the watcher alone writes."""

    state: Liveness
    since: datetime
    heard_at: datetime | None = None
    number: int = 0
    told: str = ""
    incident_id: int | None = None
    falls: int = 0
    flap_score: float = 0.0
    flap_at: datetime | None = None
    flapping: bool = False


@dataclass(slots=True)
class Watched:
    """One robot: the latest reading, what is held of it, and its place among the deadlines."""

    reading: Reading
    held: Held
    #: a later sign of life than the reading's: legacy's row has it, the mirror lost the copy
    elsewhere_at: datetime | None = None
    #: the entry in the heap that is in force
    deadline: float | None = None

    def heard(self, fleet_interval_seconds: float) -> Heard:
        """When it was heard, and what its silence is measured by."""
        read = self.reading
        signs = [at for at in (read.last_at, self.elsewhere_at, self.held.heard_at) if at]
        last = max(signs) if signs else None
        return Heard(
            read.first_at or last, last, _thresholds(self.interval(fleet_interval_seconds), read.grace_seconds)
        )

    def interval(self, fleet_interval_seconds: float) -> float:
        """How often it is expected to speak, seconds."""
        return self.reading.interval_seconds or fleet_interval_seconds


@dataclass(slots=True)
class Change:
    """A step to be written as an event."""

    watched: Watched
    before: Liveness
    after: Liveness
    became_at: datetime
    reason: str
    number: int
    incident_id: int | None = None
    window_id: int | None = None
    damped: bool = False
