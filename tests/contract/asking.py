"""The parts of a scenario that nobody recorded."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.contract.wire import Request

JSON = {"content-type": "application/json"}
ORIGIN = {"origin": "http://x.example"}
# Every row that a scenario can have left behind.
ROBOTS = Request("GET", "/api/robots")


@dataclass(frozen=True, slots=True)
class Scenario:
    """Some requests in order.

    `direct`: only without a proxy in between, which would tidy the path up. `outside`: no call of the contract has
    this path, so a system that serves pages of its own answers it in its own way.
    """

    name: str
    steps: tuple[Request, ...]
    deployed: bool = False
    direct: bool = False
    outside: bool = False


def beat(body: Any, content_type: str | None = "application/json") -> Request:
    """A heartbeat; bytes go out as they are, anything else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return Request("POST", "/api/robot/status", {} if content_type is None else {"content-type": content_type}, raw)


def read(robot_id: str) -> Request:
    """One robot's row."""
    return Request("GET", f"/api/robots/{quote(robot_id, safe='')}")


def get(path: str, **headers: str) -> Request:
    """A GET; underscores in header names stand for dashes."""
    return Request("GET", path, {name.replace("_", "-"): value for name, value in headers.items()})


def rollback(body: Any) -> Request:
    """An operator's rollback."""
    return Request("POST", "/api/rollback", JSON, body if isinstance(body, bytes) else json.dumps(body).encode())


def raw_health(health: str) -> bytes:
    """A heartbeat's body with this JSON text as its health."""
    return b'{"robot_id":"r","status":"idle","health":' + health.encode() + b"}"
