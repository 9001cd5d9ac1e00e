"""What is said over the wire: v2 heartbeats, and the same in legacy's words."""

import json
from datetime import UTC, datetime
from typing import Any

V2_ONE = "/api/v2/heartbeat"
V2_MANY = "/api/v2/heartbeats"
V2_ENROL = "/api/v2/enrol"
V2_SIGNALS = "/api/v2/teleop/signals"
SOCKET = "/ws/robot/"
LEGACY = "/api/robot/status"


def encode(content: Any) -> bytes:
    """Compact JSON. NaN and infinity do not exist there: ValueError."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def utc_now() -> str:
    """The robot's clock as ISO 8601 with its offset."""
    return datetime.now(UTC).isoformat()


def in_legacys_words(heartbeat: dict[str, Any]) -> dict[str, Any]:
    """The body of `POST /api/robot/status` that says of a v2 heartbeat what legacy can hear."""
    services = heartbeat.get("services")
    sent_at = heartbeat.get("sent_at")
    stamp = datetime.fromisoformat(sent_at).astimezone().replace(tzinfo=None).isoformat() if sent_at else None
    return {
        "robot_id": heartbeat["robot_id"],
        "deployment_id": heartbeat.get("deployment_id"),
        "version": heartbeat.get("version"),
        "status": heartbeat.get("status", "idle"),
        "message": heartbeat.get("message"),
        "health": None if services is None else {"services": services, "timestamp": stamp},
    }
