"""The one statement that stores a batch of heartbeats and moves the state they add up to.

Every part of the state is the latest of something (heartbeat, update check, v2 heartbeat, any call), guarded by
its own time. So applying is idempotent and the order does not matter: late heartbeats never move it backwards,
and the same statement without its first half rebuilds the state from the log (`heartbeat.rebuilding`).
Both inserts into the state are ordered by key, so that two writers cannot deadlock.
"""

from collections.abc import Sequence

#: columns of the input, in the order of the parameters: what is logged …
LOGGED: dict[str, str] = {
    "request_id": "uuid",
    "robot_key": "bytea",
    "robot_id": "text",
    "received_at": "timestamptz",
    "call": "text",
    "protocol": "text",
    "role": "text",
    "side": "text",
    "address": "text",
    "deployment_id": "text",
    "version": "text",
    "status": "text",
    "message": "text",
    "health": "json",
    "current_version": "text",
    "group": "text",
    "exact": "json",
    "boot_id": "text",
    "sequence": "bigint",
    "sent_at": "timestamptz",
    "payload": "json",
}
#: … and what follows from it, computed beforehand
DERIVED: dict[str, str] = {
    "row_key": "bytea",
    "bucket": "smallint",
    "kind_by_id": "text",
    "kind_by_group": "text",
    "reported_kind": "text",
    "site": "text",
    "firmware": "text",
    "battery_percent": "double precision",
    "interval_seconds": "double precision",
}
INPUT = LOGGED | DERIVED

_OF_ANY_CALL = ("robot_id", "protocol", "address")
_OF_A_STATUS = ("status", "version", "deployment_id", "message", "health")
_OF_A_V2 = ("reported_kind", "site", "firmware", "battery_percent", "interval_seconds", "payload")


def _names(columns: Sequence[str], prefix: str = "") -> str:
    return ", ".join(f'{prefix}"{name}"' for name in columns)


def _later(table: str, moment: str, columns: Sequence[str]) -> str:
    """SET clauses that take the new values unless what is stored is later."""
    newer = f"excluded.{moment} >= coalesce({table}.{moment}, '-infinity')"
    clauses = [f'"{name}" = CASE WHEN {newer} THEN excluded."{name}" ELSE {table}."{name}" END' for name in columns]
    return ", ".join([*clauses, f"{moment} = greatest(excluded.{moment}, {table}.{moment})"])


_INPUT = f"""
input AS MATERIALIZED (
    SELECT * FROM unnest({", ".join(f"${n}::{kind}[]" for n, kind in enumerate(INPUT.values(), 1))})
    AS given({_names(list(INPUT))})
)"""

_STORE = f"""
stored AS (
    INSERT INTO heartbeat_heartbeat AS h ({_names(list(LOGGED))})
    SELECT {_names(list(LOGGED))} FROM input ORDER BY request_id
    ON CONFLICT (request_id) DO UPDATE SET role = excluded.role WHERE h.role = 'shadow' AND excluded.role <> 'shadow'
    RETURNING {_names(list(LOGGED), "h.")}, h.xmax = 0 AS fresh
),
applied AS MATERIALIZED (
    SELECT stored.*, {_names(list(DERIVED), "input.")} FROM stored JOIN input USING (request_id)
)"""

_LATEST = """
seen AS (SELECT DISTINCT ON (robot_key) * FROM applied ORDER BY robot_key, received_at DESC),
since AS (
    SELECT robot_key, min(received_at) AS first_seen_at,
           max(received_at) FILTER (WHERE role = 'owner' AND call <> 'check_update') AS owner_at
    FROM applied GROUP BY robot_key
),
said AS (
    SELECT DISTINCT ON (robot_key) * FROM applied WHERE call <> 'check_update' ORDER BY robot_key, received_at DESC
),
asked AS (
    SELECT DISTINCT ON (robot_key) * FROM applied WHERE call = 'check_update' ORDER BY robot_key, received_at DESC
),
told AS (
    SELECT DISTINCT ON (robot_key) * FROM applied WHERE call = 'heartbeat' ORDER BY robot_key, received_at DESC
)"""

_MOVE_ROBOTS = f"""
robots AS (
    INSERT INTO heartbeat_robot AS r (
        key, bucket, kind_by_id, first_seen_at, last_acknowledged_as_owner_at,
        last_seen_at, {_names(_OF_ANY_CALL)}, last_side, last_role,
        last_status_at, {_names(_OF_A_STATUS)},
        last_check_at, "group", kind_by_group,
        last_v2_at, {_names(_OF_A_V2)}
    )
    SELECT seen.robot_key, seen.bucket, seen.kind_by_id, since.first_seen_at, since.owner_at,
        seen.received_at, {_names(_OF_ANY_CALL, "seen.")}, seen.side, seen.role,
        said.received_at, coalesce(said.status, ''), {_names(_OF_A_STATUS[1:], "said.")},
        asked.received_at, coalesce(asked."group", ''), coalesce(asked.kind_by_group, ''),
        told.received_at, coalesce(told.reported_kind, ''), coalesce(told.site, ''), coalesce(told.firmware, ''),
        {_names(_OF_A_V2[3:], "told.")}
    FROM seen JOIN since USING (robot_key)
    LEFT JOIN said USING (robot_key) LEFT JOIN asked USING (robot_key) LEFT JOIN told USING (robot_key)
    ORDER BY seen.robot_key
    ON CONFLICT (key) DO UPDATE SET
        first_seen_at = least(r.first_seen_at, excluded.first_seen_at),
        last_acknowledged_as_owner_at =
            greatest(r.last_acknowledged_as_owner_at, excluded.last_acknowledged_as_owner_at),
        {_later("r", "last_seen_at", [*_OF_ANY_CALL, "last_side", "last_role"])},
        {_later("r", "last_status_at", _OF_A_STATUS)},
        {_later("r", "last_check_at", ["group", "kind_by_group"])},
        {_later("r", "last_v2_at", _OF_A_V2)}
)"""

_ROW_STATUS = ("deployment_id", "version", "status", "message", "health", "exact_status")
_ROW_CHECK = ("current_version", "group", "exact_check")

_MOVE_ROWS = f"""
row_since AS (SELECT row_key, min(received_at) AS first_at FROM applied GROUP BY row_key),
row_said AS (
    SELECT DISTINCT ON (row_key) * FROM applied WHERE call <> 'check_update' ORDER BY row_key, received_at DESC
),
row_asked AS (
    SELECT DISTINCT ON (row_key) * FROM applied WHERE call = 'check_update' ORDER BY row_key, received_at DESC
),
rows_moved AS (
    INSERT INTO heartbeat_legacyrow AS w (
        key, robot_id, first_at, status_at, {_names(_ROW_STATUS)}, check_at, {_names(_ROW_CHECK)}
    )
    SELECT row_key, coalesce(row_said.robot_id, row_asked.robot_id), row_since.first_at,
        row_said.received_at, {_names(_ROW_STATUS[:-1], "row_said.")}, row_said.exact,
        row_asked.received_at, {_names(_ROW_CHECK[:-1], "row_asked.")}, row_asked.exact
    FROM row_since LEFT JOIN row_said USING (row_key) LEFT JOIN row_asked USING (row_key)
    ORDER BY row_key
    ON CONFLICT (key) DO UPDATE SET
        first_at = least(w.first_at, excluded.first_at),
        {_later("w", "status_at", _ROW_STATUS)},
        {_later("w", "check_at", _ROW_CHECK)}
)"""

#: stores, moves the state, and returns how many were new, how many of the others had their role raised, and which
#: deployments were in force (`DeploymentsRevision`)
RECORD = f"""WITH {_INPUT}, {_STORE}, {_LATEST}, {_MOVE_ROBOTS}, {_MOVE_ROWS}
SELECT count(*) FILTER (WHERE fresh) AS fresh, count(*) FILTER (WHERE NOT fresh) AS raised,
       (SELECT revision FROM heartbeat_deploymentsrevision) AS deployments FROM stored"""

#: moves the state only, by heartbeats that are in the log already
APPLY = f"""WITH {_INPUT}, applied AS MATERIALIZED (SELECT * FROM input), {_LATEST}, {_MOVE_ROBOTS}, {_MOVE_ROWS}
SELECT count(*) FROM applied"""
