"""The calls of an A/B test: those without effects, and scenarios of calls that change something."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from migration.rules.comparing import Row

JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `name` says what sort it is, in the report."""

    name: str
    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


#: LEGACY.md: `GET check-update` sets `last_seen`, and the teleoperation status opens SSH: neither is here
_FIXED = (
    Call("health", "GET", "/health"),
    Call("info", "GET", "/api/info"),
    Call("discovery status", "GET", "/api/discovery/status"),
    Call("deployments", "GET", "/api/deployments"),
    Call("deployments", "GET", "/api/deployments?limit=2"),
    Call("deployments of a group", "GET", "/api/deployments?group=all"),
    Call("deployments, limit unreadable", "GET", "/api/deployments?limit=ten"),
    Call("unknown robot", "GET", "/api/robots/nobody-has-this-id"),
    Call("unknown download", "GET", "/api/download/dep_000000000000"),
)
#: of a hundred calls: the list of all rows costs legacy the most, and a robot's row is asked for the most
_LIST_EVERY = 20
_FIXED_EVERY = 4


def without_effects(rows: Sequence[Row], deployments: Sequence[Row], iterations: int, seed: int) -> Iterator[Call]:
    """`iterations` calls that change nothing in any system, drawn from what there is. The same seed draws the same."""
    draw = random.Random(seed)
    ids = [row["robot_id"] for row in rows if isinstance(row.get("robot_id"), str) and row["robot_id"].strip("./")]
    fixed = [*_FIXED, *(Call("download", "GET", f"/api/download/{row['id']}") for row in deployments[:3])]
    for number in range(iterations):
        if number % _LIST_EVERY == 0:
            yield Call("all robots", "GET", "/api/robots")
        elif number % _FIXED_EVERY == 0 or not ids:
            yield fixed[(number // _FIXED_EVERY) % len(fixed)]
        else:
            robot_id = draw.choice(ids)
            yield Call("one robot", "GET", f"/api/robots/{quote(robot_id, safe='', errors='surrogatepass')}")


def scenario(robot: str, versions: Sequence[str]) -> Iterator[Call]:
    """Calls with effects, in order, for a robot that nobody has: only for scratch copies."""
    read = Call("its row afterwards", "GET", f"/api/robots/{robot}")
    for status in ("idle", "downloading", "deploying", "success", "failed", "outside the list"):
        yield _beat("heartbeat", {"robot_id": robot, "status": status, "version": versions[0], "message": status})
        yield read
    health = {"services": {"teleop": "active", "lekiwi": "inactive"}, "timestamp": "2026-01-29T10:00:00.123456"}
    yield _beat("heartbeat with health", {"robot_id": robot, "status": "idle", "health": health, "unknown": 1})
    yield read
    for version in (*versions, "v0.0.0"):
        query = f"robot_id={robot}&current_version={version}&group=all"
        yield Call("update check", "GET", f"/api/check-update?{query}")
        yield read
    yield Call("update check, incomplete", "GET", f"/api/check-update?robot_id={robot}")
    for body in ({"robot_id": robot}, {"robot_id": 5, "status": "idle"}, {"status": "idle"}, [], {}):
        yield _beat("heartbeat, refused", body)
    yield Call("heartbeat, no JSON", "POST", "/api/robot/status", b"{", JSON)
    yield Call("rollback to a version", "POST", "/api/rollback", json.dumps({"version": versions[-1]}).encode(), JSON)
    yield Call("deployments afterwards", "GET", "/api/deployments?limit=2")
    for body in ({"version": "none such"}, {"time_ago": "tomorrow"}, {}):
        yield Call("rollback, refused", "POST", "/api/rollback", json.dumps(body).encode(), JSON)
    yield read


def _beat(name: str, body: object) -> Call:
    return Call(name, "POST", "/api/robot/status", json.dumps(body).encode(), JSON)
