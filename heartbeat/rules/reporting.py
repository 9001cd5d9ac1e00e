"""A v2 heartbeat taken apart into the log's columns, and put together again as its robot said it.

What changes rarely (names, versions, which motors tell what) is a profile, kept once; a heartbeat keeps numbers only.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

#: what a motor may tell, in the order in which the numbers are kept
CHANNELS = (
    "position_degrees",
    "velocity",
    "temperature_celsius",
    "voltage_volts",
    "load_percent",
    "current_milliamperes",
    "status",
)
#: in a profile as it is written in a heartbeat
RARE = ("kind", "site", "firmware", "version", "deployment_id")
PLAIN = (
    *("status", "message", "battery_percent", "cpu_temperature_celsius", "cpu_load_percent"),
    *("memory_percent", "disk_percent", "next_in_s"),
)
NETWORK = ("rssi_dbm", "rtt_ms")
BASE = ("x_vel", "y_vel", "theta_vel")
TELEOP = ("command_age_ms", "command_rate_hz", "watchdog_active", "observers", "host_up", "driver")
SERVICE_LETTERS = {"active": "a", "inactive": "i", "unknown": "u"}
_SERVICE_WORDS = {letter: word for word, letter in SERVICE_LETTERS.items()}


def motor_numbers(
    columns: Sequence[Sequence[Any]],
) -> tuple[list[float], tuple[tuple[int, tuple[int, ...] | None], ...]]:
    """The known numbers of all motors, channel by channel, and which channels these are.

    `columns` holds one sequence a channel, with None for what a motor does not tell. The second part names each
    channel that any motor tells by its place in CHANNELS, with the places of the motors that do, None for all of them.
    """
    numbers: list[float] = []
    told: list[tuple[int, tuple[int, ...] | None]] = []
    for channel, values in enumerate(columns):
        unknown = values.count(None)
        if unknown == 0:
            numbers += values
            told.append((channel, None))
        elif unknown < len(values):
            known = [(place, value) for place, value in enumerate(values) if value is not None]
            numbers += [value for _, value in known]
            told.append((channel, tuple([place for place, _ in known])))
    return numbers, tuple(told)


def reported(row: Mapping[str, Any], profile: Mapping[str, Any], boot_id: str | None) -> dict[str, Any]:
    """A v2 heartbeat as JSON would say it, without what the robot did not tell.

    `row` holds the log's columns; numbers in it have four bytes, so they are given with seven digits.
    """
    rest = row["rest"] or {}
    if "payload" in rest:
        return dict(rest["payload"])
    said: dict[str, Any] = {name: profile.get(name) for name in RARE}
    said |= {"boot_id": boot_id, "sequence": row["sequence"], "sent_at": _text(row["sent_at"])}
    said |= {name: _short(row[name]) for name in PLAIN}
    said |= {
        "network": _told(row, NETWORK),
        "base": _told(row, BASE),
        "teleop": rest.get("teleop") or _told(row, TELEOP),
        "motors": _motors(row["motors"] or (), profile),
        "cameras": _cameras(row["cameras"] or (), profile),
        "services": _services(row["services"] or "", profile),
        "extra": rest.get("extra"),
    }
    return {name: value for name, value in said.items() if value not in (None, [], {})}


def _told(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: _short(row[name]) for name in names if row[name] is not None}


def _motors(numbers: Sequence[float], profile: Mapping[str, Any]) -> list[dict[str, Any]]:
    motors = [
        {"id": number, **({"name": name} if name is not None else {})} for number, name in profile.get("motors", ())
    ]
    remaining = iter(numbers)
    for channel, places in profile.get("channels", ()):
        for place in range(len(motors)) if places is None else places:
            value = next(remaining)
            motors[place][CHANNELS[channel]] = int(value) if CHANNELS[channel] == "status" else _short(value)
    return motors


def _cameras(rates: Sequence[float | None], profile: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = profile.get("cameras", ())
    return [
        {"name": name} | ({} if fps is None else {"fps": _short(fps)})
        for name, fps in zip(names, rates or [None] * len(names), strict=True)
    ]


def _services(letters: str, profile: Mapping[str, Any]) -> dict[str, str]:
    return {name: _SERVICE_WORDS[letter] for name, letter in zip(profile.get("services", ()), letters, strict=True)}


def _short(value: Any) -> Any:
    """A number as short as its four bytes are exact: 12.4, not 12.399999618530273."""
    return float(f"{value:.7g}") if isinstance(value, float) and math.isfinite(value) else value


def _text(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat()
