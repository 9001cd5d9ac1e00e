"""Bad rows of the kinds that installations in the field really hold."""

from datetime import datetime, timedelta
from typing import Any


def dirty_rows(now: datetime) -> dict[str, dict[str, Any]]:
    """Rows by key, stamped around `now` (naive): none of them may stop a sync or be dropped silently."""
    fresh = now.isoformat()

    def row(robot_id: str, **changes: Any) -> dict[str, Any]:
        usual = {
            "robot_id": robot_id,
            "deployment_id": None,
            "version": "v1.1.0",
            "status": "idle",
            "message": None,
            "health": {"services": {"teleop": "inactive", "lekiwi": "active"}, "timestamp": fresh},
            "last_seen": fresh,
        }
        return usual | changes

    return {
        # Made by check-update alone: no robot_id inside, a misspelt kind as its group.
        "xlerobot-ghost": {"last_seen": fresh, "current_version": "v1.0.9", "group": "xlerobot"},
        # One robot under two spellings, in two rows.
        "Lekiwi_D1D1D1D1": row("Lekiwi_D1D1D1D1"),
        "lekiwi_d1d1d1d1": row("lekiwi_d1d1d1d1", version="v1.0.0", last_seen=(now - timedelta(days=3)).isoformat()),
        # Clocks and zones.
        "Lekiwi_F0000001": row("Lekiwi_F0000001", last_seen=(now + timedelta(hours=2)).isoformat()),
        "Lekiwi_F0000002": row("Lekiwi_F0000002", last_seen=now.replace(microsecond=0).isoformat()),
        # Words outside the list.
        "xle_S0000001": row("xle_S0000001", status="rebooting", message="watchdog"),
        "xle_S0000002": row("xle_S0000002", status="", version=None),
        # Health that is missing, half there, full of surprises or already overwritten.
        "Lekiwi_H0000001": row("Lekiwi_H0000001", health=None),
        "Lekiwi_H0000002": row(
            "Lekiwi_H0000002", health={"cpu": 41.5, "services": {"lekiwi": "failed"}, "gps": [1, 2]}
        ),
        "Lekiwi_H0000003": row("Lekiwi_H0000003", health="offline", last_seen=(now - timedelta(days=40)).isoformat()),
        # A name that says nothing about its kind, and one with letters of its own.
        "raspberrypi": row("raspberrypi", version="dev"),
        "Röbot 7": row("Röbot 7", message="grüße"),
        # Restarted with a new version in the middle of a deployment.
        "xle_M0000001": row("xle_M0000001", status="deploying", deployment_id="dep_1a2b3c4d5e03", version="v1.3.0-xle")
        | {"current_version": "v1.1.0", "group": "xle"},
    }
