"""What legacy finds in its network: a list by address, with the stages it believes each robot has reached."""

import re
from typing import Any

from simulator.legacy.rounds import TeleopPolling, address_of
from simulator.legacy.state import LegacyState, Row

STAGES = ("awake", "type", "software", "video", "teleop_host", "teleop_operation")
#: the older contract's words for what robots say of themselves
OLDER_STATUSES = {"idle": "running", "success": "running", "downloading": "updating", "deploying": "updating"}
_DIGITS = re.compile(r"_([0-9A-Fa-f]{4,})$")


def hostname_of(robot_id: str) -> str:
    """`Lekiwi_B827EB5A` answers to `lekiwi_EB5A`: the kind and the last four digits, as robots are named."""
    found = _DIGITS.search(robot_id)
    kind = "xlerobot" if "xle" in robot_id.lower() else "lekiwi" if "lekiwi" in robot_id.lower() else "raspberrypi"
    return f"{kind}_{found[1][-4:]}" if found else kind


def fleet(state: LegacyState, polling: TeleopPolling) -> dict[str, Any]:
    """`GET /api/fleet`. Robots that share an address are one row: the last one that was found there."""
    found: dict[str, Row] = {}
    for robot_id, row in state.robots.items():
        address = address_of(robot_id)
        seen = bool(polling.seen.get(robot_id, {}).get("teleoperated"))
        hostname = hostname_of(robot_id)
        found[address] = {
            "ip": address,
            "hostname": hostname,
            "type": "xlerobot" if "xle" in hostname else "lekiwi" if "lekiwi" in hostname else "unknown",
            "stages": {
                name: _stage(name, seen if name.startswith("teleop") else row.get("health") != "offline")
                for name in STAGES
            },
            # The known mistake: whoever runs the host is believed to be operated.
            "teleop_host": seen,
            "teleop_operation": seen,
        }
    return {
        "robots": list(found.values()),
        "total": len(found),
        "discovered_at": state.now().isoformat(),
        "discovery_method": "parallel",
        "stages_enabled": True,
    }


def older_rows(state: LegacyState, polling: TeleopPolling) -> list[Row]:
    """`GET /robots` of the older contract."""
    return [_older_row(robot_id, row, polling) for robot_id, row in state.robots.items()]


def older_deployments(state: LegacyState) -> list[Row]:
    """`GET /deployments` of the older contract: who runs which version since when."""
    return [
        {"robot_id": robot_id, "version": row["version"], "deployed_at": row["last_seen"], "status": "success"}
        for robot_id, row in state.robots.items()
        if row.get("version") and row.get("last_seen")
    ]


def _older_row(robot_id: str, row: Row, polling: TeleopPolling) -> Row:
    hostname = hostname_of(robot_id)
    stopped = row.get("health") == "offline"
    return {
        "id": robot_id,
        "ip_address": address_of(robot_id),
        "hostname": hostname,
        "type": "xlerobot" if "xle" in hostname else "lekiwi",
        "status": "stopped" if stopped else OLDER_STATUSES.get(str(row.get("status")), str(row.get("status"))),
        "version": row.get("version"),
        "last_seen": row.get("last_seen"),
        "teleoperation": bool(polling.seen.get(robot_id, {}).get("teleoperated")),
        "ssh_port": 22,
        "metadata": {},
    }


def _stage(name: str, reached: bool) -> Row:
    words = name.replace("_", " ")
    return {"status": "success" if reached else "pending", "message": f"{words} {'reached' if reached else 'unknown'}"}
