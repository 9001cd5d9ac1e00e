"""Events and what is held of each robot, as statements that take whole columns."""

from collections.abc import Iterable
from datetime import datetime

from heartbeat.watching.incidents import Write, columns
from heartbeat.watching.robots import Change, Watched

_HELD = """
INSERT INTO heartbeat_liveness AS l (
    robot_key, robot_id, state, since, heard_at, number, told, incident_id, falls, flap_score, flap_at, flapping
)
SELECT * FROM unnest(
    %s::bytea[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::bigint[], %s::text[], %s::bigint[],
    %s::bigint[], %s::float8[], %s::timestamptz[], %s::bool[]
)
ON CONFLICT (robot_key) DO UPDATE SET
    robot_id = excluded.robot_id, state = excluded.state, since = excluded.since, heard_at = excluded.heard_at,
    number = excluded.number, told = excluded.told, incident_id = excluded.incident_id, falls = excluded.falls,
    flap_score = excluded.flap_score, flap_at = excluded.flap_at, flapping = excluded.flapping
"""
_EVENTS = """
INSERT INTO heartbeat_livenessevent (
    robot_key, robot_id, number, from_state, to_state, became_at, noticed_at, incident_id, window_id, damped, reason
)
SELECT key, id, number, was, is_now, became, %s, incident, planned, damped, reason FROM unnest(
    %s::bytea[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::timestamptz[], %s::bigint[], %s::bigint[],
    %s::bool[], %s::text[]
) AS e (key, id, number, was, is_now, became, incident, planned, damped, reason)
"""
_FORGET = "DELETE FROM heartbeat_liveness WHERE robot_key = ANY(%s)"


def held(robots: Iterable[Watched]) -> Write:
    """Keep what is held of these robots (at least one)."""
    rows = []
    for watched in robots:
        read, held = watched.reading, watched.held
        told = (held.number, held.told, held.incident_id, held.falls, held.flap_score, held.flap_at, held.flapping)
        rows.append((read.key, read.robot_id, held.state.value, held.since, held.heard_at, *told))
    return _HELD, columns(rows)


def events(changes: Iterable[Change], noticed_at: datetime) -> Write:
    """Append these events (at least one). A number that is there already refuses the transaction."""
    rows = []
    for change in changes:
        read = change.watched.reading
        states = (change.before.value, change.after.value)
        links = (change.incident_id, change.window_id, change.damped, change.reason)
        rows.append((read.key, read.robot_id, change.number, *states, change.became_at, *links))
    return _EVENTS, [noticed_at, *columns(rows)]


def forgotten(keys: list[bytes]) -> Write:
    """Drop what is held of robots that are no longer there; their events stay."""
    return _FORGET, [keys]
