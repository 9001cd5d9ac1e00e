"""What a heartbeat says about operation, and how far it can be believed: signals from strong to weak."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

#: the robot's own definition: its watchdog stops the base when no command came for this long
COMMAND_TIMEOUT_MS = 500


class Host(StrEnum):
    """The program on the robot that an operator connects to."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class OperationReport:
    """Whether the host runs, whether somebody drives (None: the robot cannot tell), and how that is known."""

    host: Host
    operated: bool | None
    evidence: str

    @property
    def state(self) -> str:
        """The state that follows: active, host_ready, idle; unknown where the robot cannot tell."""
        if self.operated is None:
            return "unknown"
        return "active" if self.operated else "host_ready" if self.host is Host.UP else "idle"


NOTHING_SAID = OperationReport(Host.UNKNOWN, None, "the robot says nothing about operation")


def read_operation(health: Any, payload: Any = None) -> OperationReport:
    """Read legacy's `health` and, if there is one, a v2 payload, whose signals are stronger.

    Both come from robots, so neither is trusted to have any shape.
    """
    signals = payload.get("teleop") if isinstance(payload, Mapping) else None
    host, because = _host(health, signals)
    if not isinstance(signals, Mapping):
        return OperationReport(host, None, because)
    if signals.get("host_up") is False:
        return OperationReport(host, False, "the host does not run, so nobody can drive")
    operated, evidence = _operated(signals)
    return OperationReport(host, operated, evidence or because)


def _operated(signals: Mapping[str, Any]) -> tuple[bool | None, str]:
    age_ms, rate_hz = _number(signals.get("command_age_ms")), _number(signals.get("command_rate_hz"))
    if age_ms is not None:
        if age_ms > COMMAND_TIMEOUT_MS:
            return False, f"the latest command is {age_ms:.0f} ms old"
        at = "" if rate_hz is None else f", {rate_hz:.0f} per second"
        return True, f"a command {age_ms:.0f} ms ago{at}"
    if rate_hz is not None:
        return rate_hz > 0, f"{rate_hz:.0f} commands per second"
    stopped = signals.get("watchdog_active")
    if isinstance(stopped, bool):
        return not stopped, "the watchdog holds the base" if stopped else "the watchdog lets the base move"
    return None, ""


def _host(health: Any, signals: Any) -> tuple[Host, str]:
    up = signals.get("host_up") if isinstance(signals, Mapping) else None
    if isinstance(up, bool):
        return (Host.UP, "the host runs") if up else (Host.DOWN, "the host does not run")
    services = health.get("services") if isinstance(health, Mapping) else None
    state = services.get("teleop") if isinstance(services, Mapping) else None
    if state == "active":
        return Host.UP, "the service runs, which says nothing about an operator"
    if state == "inactive":
        return Host.DOWN, "the service does not run"
    return Host.UNKNOWN, NOTHING_SAID.evidence


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
