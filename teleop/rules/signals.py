"""What a robot reported of its operation, read from untrusted JSON into one shape. Ages become seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_MOST_ITEMS = 32


class Driver(StrEnum):
    """Who commands: a person, a program that decides, a program that repeats, or nobody can tell."""

    HUMAN = "human"
    POLICY = "policy"
    REPLAY = "replay"
    UNKNOWN = "unknown"


class Basis(StrEnum):
    """What a verdict stands on."""

    SIGNALS = "signals"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True)
class Peer:
    """A WebRTC connection."""

    state: str
    operator: str
    rtt_ms: float | None
    loss_percent: float | None
    bitrate_kbps: float | None
    fps: float | None


@dataclass(frozen=True, slots=True)
class Device:
    """An input device and the seconds since it moved."""

    kind: str
    operator: str
    active_age: float | None


@dataclass(frozen=True, slots=True)
class Flow:
    """A connection to one of the robot's ports and the seconds since data arrived on it."""

    port: int
    remote: str
    operator: str
    received_age: float | None
    rtt_ms: float | None


@dataclass(frozen=True, slots=True)
class Commander:
    """Somebody who commands, the seconds since their latest command, and commands per second."""

    operator: str
    command_age: float | None
    rate_hz: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """One report. Times are seconds since 1970 by the server's clock; None is “the robot does not say”.

    `at` is when it was measured, `heard_at` when it arrived; `run` names the robot's present run.
    """

    at: float
    heard_at: float
    basis: Basis = Basis.SIGNALS
    run: str = ""
    command_age: float | None = None
    command_rate_hz: float | None = None
    commanded_for: float | None = None
    watchdog_active: bool | None = None
    observers: int | None = None
    observer_ages: tuple[float, ...] | None = None
    host_up: bool | None = None
    host_up_for: float | None = None
    host_runs_for: float | None = None
    service: str = ""
    driver: Driver | None = None
    peers: tuple[Peer, ...] | None = None
    devices: tuple[Device, ...] | None = None
    flows: tuple[Flow, ...] | None = None
    operators: tuple[Commander, ...] | None = None
    moving: bool | None = None
    network_rtt_ms: float | None = None
    next_in: float | None = None


def read_signals(
    document: Mapping[str, Any],
    *,
    at: float,
    heard_at: float,
    run: str = "",
    network_rtt_ms: float | None = None,
    next_in: float | None = None,
) -> Report:
    """A report of a v2 robot. What has no known shape is as if it had not been said."""
    say = document.get
    service = say("service")
    return Report(
        at=at,
        heard_at=heard_at,
        run=run,
        command_age=_seconds(say("command_age_ms")),
        command_rate_hz=_number(say("command_rate_hz")),
        commanded_for=_seconds(say("commanded_for_ms")),
        watchdog_active=_flag(say("watchdog_active")),
        observers=_count(say("observers")),
        observer_ages=_ages(say("observer_ages_ms")),
        host_up=_flag(say("host_up")),
        host_up_for=_seconds(say("host_up_for_ms")),
        host_runs_for=_seconds(say("host_runs_for_ms")),
        service=service if service in ("active", "inactive") else "",
        driver=_driver(say("driver")),
        peers=_each(say("peers"), _peer),
        devices=_each(say("devices"), _device),
        flows=_each(say("flows"), _flow),
        operators=_each(say("operators"), _commander),
        moving=_flag(say("moving")),
        network_rtt_ms=network_rtt_ms,
        next_in=_seconds(say("next_in_ms")) or next_in,
    )


def read_legacy(service: str, *, at: float, heard_at: float) -> Report:
    """All that a legacy heartbeat says of operation: whether a service is active."""
    return Report(at=at, heard_at=heard_at, basis=Basis.LEGACY, service=service)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        return None
    return float(value)


def _seconds(value: Any) -> float | None:
    number = _number(value)
    return None if number is None else number / 1000


def _count(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str:
    return value[:128] if isinstance(value, str) else ""


def _driver(value: Any) -> Driver | None:
    return Driver(value) if value in ("human", "policy", "replay") else None


def _ages(value: Any) -> tuple[float, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(age for each in value[:_MOST_ITEMS] if (age := _seconds(each)) is not None)


def _each(value: Any, read: Any) -> Any:
    if not isinstance(value, list):
        return None
    return tuple(read(each.get) for each in value[:_MOST_ITEMS] if isinstance(each, Mapping))


def _peer(say: Any) -> Peer:
    return Peer(
        state=_text(say("state")) or "connected",
        operator=_text(say("operator")),
        rtt_ms=_number(say("rtt_ms")),
        loss_percent=_number(say("loss_percent")),
        bitrate_kbps=_number(say("bitrate_kbps")),
        fps=_number(say("fps")),
    )


def _device(say: Any) -> Device:
    return Device(_text(say("kind")), _text(say("operator")), _seconds(say("active_age_ms")))


def _flow(say: Any) -> Flow:
    remote, operator = _text(say("remote")), _text(say("operator"))
    return Flow(_count(say("port")) or 0, remote, operator, _seconds(say("received_age_ms")), _number(say("rtt_ms")))


def _commander(say: Any) -> Commander:
    return Commander(_text(say("id")), _seconds(say("command_age_ms")), _number(say("command_rate_hz")))
