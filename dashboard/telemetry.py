"""A v2 payload as figures: a label, a number, a unit. What was not told is None and shown as such."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.presentation import NB


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; `value` None when the robot did not tell it."""

    label: str
    value: str | None
    unit: str


def telemetry(payload: Any, battery_percent: float | None) -> list[Figure]:
    """The figures of a payload, which comes from a robot and may have any shape."""
    said = payload if isinstance(payload, Mapping) else {}
    motors = _items(said.get("motors"))
    hottest = max(filter(None, (_number(motor.get("temperature_celsius")) for motor in motors)), default=None)
    teleop, network = _mapping(said.get("teleop")), _mapping(said.get("network"))
    frames = [rate for camera in _items(said.get("cameras")) if (rate := _number(camera.get("fps"))) is not None]
    return [
        Figure("Battery", _figure(battery_percent, 0), "%"),
        Figure("Motor, hottest", _figure(hottest, 1), "°C"),
        Figure("CPU", _figure(said.get("cpu_load_percent"), 0), "%"),
        Figure("CPU temperature", _figure(said.get("cpu_temperature_celsius"), 1), "°C"),
        Figure("Memory", _figure(said.get("memory_percent"), 0), "%"),
        Figure("Disk", _figure(said.get("disk_percent"), 0), "%"),
        Figure("Commands", _figure(teleop.get("command_rate_hz"), 1), "Hz"),
        Figure("Round trip", _figure(network.get("rtt_ms"), 0), "ms"),
        Figure("Signal", _figure(network.get("rssi_dbm"), 0), "dBm"),
        Figure("Video, slowest", _figure(min(frames, default=None), 1), "fps"),
        Figure("Motors", str(len(motors)) if "motors" in said else None, ""),
    ]


def _figure(value: Any, decimals: int) -> str | None:
    number = _number(value)
    return None if number is None else f"{number:,.{decimals}f}".replace("-", "−").replace(" ", NB)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Mapping[str, Any]]:
    return [_mapping(item) for item in value] if isinstance(value, list) else []
