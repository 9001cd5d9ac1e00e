"""A robot's row as legacy would answer it, made from the latest heartbeat and the latest update check.

Legacy replaces the whole row at a heartbeat, and sets three keys in place at an update check. So the row is a
function of the latest of each and their order; it does not matter in which order `new` learned of them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

STATUS_FIELDS = ("robot_id", "deployment_id", "version", "status", "message", "health")
#: legacy's own verdict on a robot that was silent for 5 minutes, written over its `health`; no robot can say it
OFFLINE_MARK = "offline"
CHECK_FIELDS = ("current_version", "group")


def legacy_row(columns: Mapping[str, Any], health: Any, exact: Mapping[str, Any]) -> dict[str, Any]:
    """The row for legacy's API, keys in legacy's order.

    `columns` holds STATUS_FIELDS (but health), CHECK_FIELDS, `status_at` and `check_at` (aware, or None);
    `exact` overrides what a text column could not hold (a NUL).
    """
    status_at, check_at = columns["status_at"], columns["check_at"]
    row: dict[str, Any] = {}
    if status_at is not None:
        row = {name: columns[name] for name in STATUS_FIELDS if name != "health"} | {"health": health}
    row["last_seen"] = naive_local(max(moment for moment in (status_at, check_at) if moment is not None))
    if check_at is not None and (status_at is None or check_at >= status_at):
        row |= {name: columns[name] for name in CHECK_FIELDS}
    for name, value in exact.items():
        if name in row:
            row[name] = value
    return row


def naive_local(moment: datetime) -> str:
    """A moment as legacy writes it: ISO 8601 in the server's own zone, without an offset."""
    return moment.astimezone().replace(tzinfo=None).isoformat()
