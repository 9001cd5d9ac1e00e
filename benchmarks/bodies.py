"""What the benchmarks' robots say: the same heartbeat in v2, in legacy's words and as one DRF view takes it."""

import json
import random
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.load import Job, Requests

#: what changes with every heartbeat, and what stands for it in a template: as wide as every number and every time
_CHANGING = b'%d,"sent_at":"%s"'
_SEQUENCE, _SENT_AT = 1_000_000_000, b"2026-11-24T12:00:00.250000+00:00"
_IN_TEMPLATES = _CHANGING % (_SEQUENCE, _SENT_AT)
_ARM = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")


def robot_id(number: int) -> str:
    """Every second robot is an XLE."""
    return f"{'xlerobot' if number % 2 else 'lekiwi'}-{number:06d}"


def boot_id(number: int) -> str:
    """One run per robot."""
    return f"5d1f4f0e-7c3a-4c2e-9a77-{number:012d}"


def heartbeat(number: int) -> dict[str, Any]:
    """What a robot says in v2, all that today's host can know (TELEMETRY.md)."""
    chance = random.Random(number)
    xle = number % 2 == 1
    arms = ("left_", "right_") if xle else ("",)
    joints = [f"{arm}arm_{joint}" for arm in arms for joint in _ARM] + (["head_pan", "head_tilt"] if xle else [])
    wheels = ["base_left_wheel", "base_back_wheel", "base_right_wheel"]
    motors: list[dict[str, Any]] = [
        {"id": place, "name": name, "position_degrees": round(chance.uniform(-90, 90), 2)}
        for place, name in enumerate(joints, 1)
    ]
    motors += [
        {"id": len(joints) + place, "name": name, "velocity": round(chance.uniform(-50, 50), 2)}
        for place, name in enumerate(wheels, 1)
    ]
    cameras = ["front", "wrist_left", "wrist_right"] if xle else ["front", "wrist"]
    return {
        "robot_id": robot_id(number),
        "kind": "xle" if xle else "lekiwi",
        "site": "abcd"[number % 4],
        "firmware": "1.4.2",
        "boot_id": boot_id(number),
        "sequence": _SEQUENCE,
        "sent_at": _SENT_AT.decode(),
        "status": "idle",
        "version": "v1.2.3",
        "deployment_id": "dep_0123456789ab",
        "battery_percent": round(chance.uniform(20, 100), 1),
        "cpu_temperature_celsius": round(chance.uniform(40, 70), 1),
        "cpu_load_percent": round(chance.uniform(5, 90), 1),
        "memory_percent": round(chance.uniform(20, 80), 1),
        "disk_percent": round(chance.uniform(20, 80), 1),
        "network": {"rssi_dbm": -57, "rtt_ms": 12.4},
        "motors": motors,
        "cameras": [{"name": name, "fps": 30.0} for name in cameras],
        "base": {"x_vel": 0.1, "y_vel": 0.0, "theta_vel": 3.5},
        "services": {"teleop": "active", "lekiwi": "active"},
        "teleop": {"command_age_ms": 36.0, "command_rate_hz": 30.1, "watchdog_active": False, "observers": 1},
        "next_in_s": 1.0,
    }


def legacy_heartbeat(number: int) -> dict[str, Any]:
    """The same in legacy's words."""
    health = {"services": {"teleop": "active", "lekiwi": "active"}, "timestamp": "2026-11-24T12:00:00.250000"}
    return {
        "robot_id": robot_id(number),
        "deployment_id": "dep_0123456789ab",
        "version": "v1.2.3",
        "status": "idle",
        "message": None,
        "health": health,
    }


def _post(path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: robots", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@cache
def _read(path: str) -> list[str]:
    return Path(path).read_text().split()


def tokens(job: "Job") -> list[str]:
    """The robots' tokens, none if the job has none."""
    return _read(job.tokens) if job.tokens else []


def split_heartbeat(number: int) -> tuple[bytes, bytes]:
    """What stands before and after `changing` in a robot's heartbeat."""
    before, after = _compact(heartbeat(number)).split(_IN_TEMPLATES, 1)
    return before, after


def changing(sequence: int) -> bytes:
    """The number of a heartbeat, and that it is sent now."""
    return _CHANGING % (sequence, _this_millisecond(time.time_ns() // 1_000_000))


@lru_cache(maxsize=1)
def _this_millisecond(since_1970: int) -> bytes:
    moment = datetime.fromtimestamp(since_1970 / 1_000, UTC)
    return moment.isoformat(timespec="microseconds").encode()


def _authorised(known: list[str], number: int) -> dict[str, str]:
    return {"Authorization": f"Bearer {known[number]}"} if known else {}


def _single(path: str) -> "Requests":
    def requests(job: "Job", connection: int) -> Iterator[tuple[bytes, int, int, int]]:
        known = tokens(job)
        mine = []
        for number in range(job.without + connection, job.robots, job.connections):
            whole = _post(path, _compact(heartbeat(number)), _authorised(known, number))
            mine.append((number, *whole.split(_IN_TEMPLATES, 1)))
        return _numbered(mine, _SEQUENCE + job.first)

    return requests


def _numbered(mine: list[tuple[int, bytes, bytes]], first: int) -> Iterator[tuple[bytes, int, int, int]]:
    for sequence in count(first):
        for number, before, after in mine:
            yield before + changing(sequence) + after, number, sequence, 1


def _legacy(job: "Job", connection: int) -> Iterator[tuple[bytes, int, int, int]]:
    mine = [
        # Robots of their own: one that has a token may not speak without it.
        (number, _post("/api/robot/status", _compact(legacy_heartbeat(number + 100_000)), {"x-side": "new"}))
        for number in range(job.without + connection, job.robots, job.connections)
    ]
    return ((request, number, sequence, 1) for sequence in count(job.first) for number, request in mine)


def _batch(job: "Job", connection: int) -> Iterator[tuple[bytes, int, int, int]]:
    """A backlog: `job.batch` heartbeats of one robot."""
    mine = [
        (number, *split_heartbeat(number)) for number in range(job.without + connection, job.robots, job.connections)
    ]
    return _backlogs(mine, tokens(job), _SEQUENCE + job.first, job.batch)


def _backlogs(
    mine: list[tuple[int, bytes, bytes]], known: list[str], first: int, size: int
) -> Iterator[tuple[bytes, int, int, int]]:
    for sequence in count(first, size):
        for number, before, after in mine:
            items = [before + _CHANGING % (sequence + place, _SENT_AT) + after for place in range(size)]
            body = b"[" + b",".join(items) + b"]"
            yield _post("/api/v2/heartbeats", body, _authorised(known, number)), number, sequence, size


#: each prepares its robots' requests when it is called, so that a run's time is spent on sending them
REQUESTS: "dict[str, Requests]" = {
    "v2": _single("/api/v2/heartbeat"),
    "noop": _single("/noop"),
    "drf": _single("/heartbeat/"),
    "legacy": _legacy,
    "batch": _batch,
    "websocket": _single("/ws/robot/"),
}
