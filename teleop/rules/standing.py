"""How a robot stands: its state, its open session, and what became of them, as values."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from teleop.rules.signals import Basis, Driver


class State(StrEnum):
    """Of a robot. `lost`: a session is open, and its commands stay away."""

    UNKNOWN = "unknown"
    IDLE = "idle"
    HOST_READY = "host_ready"
    ACTIVE = "active"
    LOST = "lost"


class Ending(StrEnum):
    """Why a session ended."""

    OPERATOR_LEFT = "operator_left"
    COMMANDS_STOPPED = "commands_stopped"
    HOST_ENDED = "host_ended"
    HOST_TIME_OVER = "host_time_over"
    ROBOT_SILENT = "robot_silent"
    ROBOT_RESTARTED = "robot_restarted"
    DRIVER_CHANGED = "driver_changed"
    STOPPED = "stopped"


class Step(StrEnum):
    """What happened to a robot or its session."""

    BEGAN = "began"
    LOST = "lost"
    RESUMED = "resumed"
    #: it was never lost: what arrived late says so
    RESTORED = "restored"
    ENDED = "ended"
    DRIVER_KNOWN = "driver_known"
    JOINED = "joined"
    LEFT = "left"
    CONTESTED = "contested"
    STOOD = "stood"


@dataclass(frozen=True, slots=True)
class Event:
    """A step. `at` is when it was so (backdated to the evidence), `known_at` when this system knew."""

    step: Step
    at: float
    known_at: float
    state: State
    because: str
    session: str = ""
    confidence: float = 1.0
    evidence: tuple[dict[str, Any], ...] = ()
    ending: Ending | None = None
    driver: Driver = Driver.UNKNOWN
    operator: str = ""


@dataclass(frozen=True, slots=True)
class Open:
    """A session that is not over. `until`: the latest moment at which commands certainly flowed."""

    id: str
    began: float
    until: float
    driver: Driver = Driver.UNKNOWN
    operators: frozenset[str] = frozenset()
    #: some operator was known by name
    named: bool = False
    lost_at: float | None = None
    contested: bool = False
    #: a request to stop it was acknowledged
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one robot. `at` is when the latest report was measured, `heard_at` when it arrived; 0 before any."""

    state: State = State.UNKNOWN
    since: float = 0.0
    basis: Basis = Basis.SIGNALS
    confidence: float = 0.5
    because: str = "it was not heard"
    at: float = 0.0
    heard_at: float = 0.0
    run: str = ""
    #: silence of more than this is no jitter any more, seconds
    patience: float = 5.0
    #: by the latest report
    host: bool | None = None
    #: when it was last known not to be operated
    not_operated_at: float | None = None
    #: the latest command of the latest session that is over: it begins no other one
    over_at: float = 0.0
    host_up_for: float | None = None
    host_runs_for: float | None = None
    open: Open | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A standing after something happened, and the steps that led there."""

    standing: Standing
    events: tuple[Event, ...] = field(default=())
