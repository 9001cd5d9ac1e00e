"""What the log and the watcher know of some robots: every query of the robot page beside the robot itself."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from heartbeat.models.heartbeat import Call

LATEST_HEARTBEATS = 10
LATEST_EVENTS = 10

_HEARTBEATS = """
SELECT wanted.key, found.* FROM unnest(%s::bytea[]) AS wanted(key)
CROSS JOIN LATERAL (
    SELECT recent.* FROM heartbeat_spelling AS s
    CROSS JOIN LATERAL (
        SELECT h.received_at, h.role, h.call, h.status, h.message,
            coalesce(h.version, p.document ->> 'version') AS version,
            coalesce(h.deployment_id, p.document ->> 'deployment_id') AS deployment_id
        FROM heartbeat_heartbeat AS h LEFT JOIN heartbeat_profile AS p ON p.id = h.profile_id
        WHERE h.spelling_id = s.id ORDER BY h.received_at DESC LIMIT %s
    ) AS recent
    WHERE s.robot_key = wanted.key ORDER BY recent.received_at DESC LIMIT %s
) AS found
"""
_EVENTS = """
SELECT wanted.key, found.* FROM unnest(%s::bytea[]) AS wanted(key)
CROSS JOIN LATERAL (
    SELECT became_at, noticed_at, from_state, to_state, reason, damped
    FROM heartbeat_livenessevent WHERE robot_key = wanted.key ORDER BY number DESC LIMIT %s
) AS found
"""

Rows = dict[bytes, list[dict[str, Any]]]


def latest_heartbeats(keys: Sequence[bytes]) -> Rows:
    """The latest heartbeats and update checks of each robot, newest first; `call` as the robot made it."""
    rows = _by_key(_HEARTBEATS, keys, LATEST_HEARTBEATS, LATEST_HEARTBEATS)
    for of_one in rows.values():
        for row in of_one:
            row["path"] = Call(row["call"]).label
    return rows


def latest_events(keys: Sequence[bytes]) -> Rows:
    """The latest changes of each robot's liveness, newest first."""
    return _by_key(_EVENTS, keys, LATEST_EVENTS)


def watched_liveness(keys: Sequence[bytes]) -> dict[bytes, str]:
    """The liveness that the watcher keeps, of those robots that it knows."""
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT robot_key, state FROM heartbeat_liveness WHERE robot_key = ANY(%s)", [list(keys)])
        return {bytes(key): state for key, state in cursor.fetchall()}


def _by_key(query: str, keys: Sequence[bytes], *limits: int) -> Rows:
    found: Rows = {}
    if not keys:
        return found
    with connection.cursor() as cursor:
        cursor.execute(query, [list(keys), *limits])
        names = [column.name for column in cursor.description][1:]
        for key, *values in cursor.fetchall():
            found.setdefault(bytes(key), []).append(dict(zip(names, values, strict=True)))
    return found
