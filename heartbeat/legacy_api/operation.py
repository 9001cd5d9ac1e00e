"""`GET /api/robot/{ip}/teleoperation-status`, answered from what the robot said itself instead of by SSH."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from heartbeat.legacy_api.store import Store


class Report(Protocol):
    """What `teleop.rules.reading.read_operation` returns."""

    host: str
    operated: bool | None
    evidence: str


#: (legacy's health, a v2 payload) → what they say about operation
ReadOperation = Callable[[Any, Any], Report]


@dataclass(frozen=True, slots=True)
class _Silent:
    host: str
    operated: bool | None
    evidence: str


async def teleoperation_status(store: Store, read: ReadOperation, robot_ip: str) -> dict[str, Any]:
    """The answer in legacy's shape. What is not known is null: a running service is no operator."""
    robots = await store.speaking_from(robot_ip[:64].replace("\x00", ""))
    if len(robots) == 1:
        found = robots[0]
        report = read(json.loads(found["health"] or "null"), json.loads(found["payload"] or "null"))
    else:
        reason = "no robot speaks from this address" if not robots else "several robots speak from this address"
        report = _Silent(host="unknown", operated=None, evidence=reason)
    known = report.host != "unknown" or report.operated is not None
    return {
        "success": known,
        "teleop_host_ready": report.host == "up",
        "teleop_operated": report.operated if known else False,
        "teleoperated": report.operated if known else False,
        "host_status": {"active": report.host == "up", "status": report.host},
        "operation_status": {
            "active": report.operated if known else False,
            "message": report.evidence,
            "connections": None,
            "cpu_usage": None,
            "recent_activity": None,
        },
        "checked_at": datetime.now().isoformat(),
        "robot_ip": robot_ip,
    }
