"""Rebuild the state (robots, legacy rows) from the log of heartbeats."""

import asyncio
import json
from typing import Any

import asyncpg
import structlog
from django.db import connection

from heartbeat.ingest.beat import Beat, columns_of, new_beat
from heartbeat.ingest.marks import Marks
from heartbeat.ingest.statement import APPLY, LOGGED
from heartbeat.rules.kind import kind_from_word

log = structlog.get_logger(__name__)

CHUNK_ROWS = 1_000
#: nobody may write state meanwhile; heartbeats that come are answered 503, and by the other system through the door
_CLEAR = """
LOCK TABLE heartbeat_robot, heartbeat_legacyrow IN ACCESS EXCLUSIVE MODE;
CREATE TEMPORARY TABLE set_by_operators ON COMMIT DROP AS
    SELECT key, robot_id, bucket, kind_by_id, enrolled_at, tags, expected_interval_seconds, grace_seconds
    FROM heartbeat_robot
    WHERE enrolled_at IS NOT NULL OR tags <> '{}' OR expected_interval_seconds IS NOT NULL OR grace_seconds IS NOT NULL;
TRUNCATE heartbeat_robot, heartbeat_legacyrow RESTART IDENTITY;
"""
#: what operators set is not in the log; an enrolled robot that was never heard comes back by it alone
_RESTORE = """
INSERT INTO heartbeat_robot (key, robot_id, bucket, kind_by_id, enrolled_at, tags, expected_interval_seconds,
                             grace_seconds)
SELECT key, robot_id, bucket, kind_by_id, coalesce(enrolled_at, now()), tags, expected_interval_seconds, grace_seconds
FROM set_by_operators
ON CONFLICT (key) DO UPDATE SET enrolled_at = excluded.enrolled_at, tags = excluded.tags,
    expected_interval_seconds = excluded.expected_interval_seconds, grace_seconds = excluded.grace_seconds
"""
_COLUMNS = ", ".join(f'"{name}"' for name in LOGGED)
_LOG = f"SELECT {_COLUMNS} FROM heartbeat_heartbeat ORDER BY received_at, id"


def rebuild_state() -> int:
    """Derive all robots and legacy rows anew, in one transaction; returns how many heartbeats they stand on."""
    given = connection.get_connection_params()
    target = {
        "host": given.get("host") or None,
        "port": given.get("port") or None,
        "user": given.get("user") or None,
        "password": given.get("password") or None,
        "database": given.get("dbname"),
    }
    heartbeats = asyncio.run(_rebuild(target))
    log.info("state.rebuilt", heartbeats=heartbeats)
    return heartbeats


async def _rebuild(target: dict[str, Any]) -> int:
    database = await asyncpg.connect(**target)
    heartbeats = 0
    try:
        async with database.transaction():
            await database.execute(_CLEAR)
            apply = await database.prepare(APPLY)
            chunk: list[Beat] = []
            async for record in database.cursor(_LOG, prefetch=CHUNK_ROWS):
                chunk.append(_beat_of(record))
                if len(chunk) == CHUNK_ROWS:
                    heartbeats += await apply.fetchval(*zip(*map(columns_of, chunk), strict=True))
                    chunk = []
            if chunk:
                heartbeats += await apply.fetchval(*zip(*map(columns_of, chunk), strict=True))
            await database.execute(_RESTORE)
    finally:
        await database.close()
    return heartbeats


def _beat_of(record: asyncpg.Record) -> Beat:
    """The beat that a logged heartbeat was, with what follows from it computed again."""
    exact = json.loads(record["exact"]) if record["exact"] else {}
    payload = json.loads(record["payload"]) if record["payload"] else {}
    marks = Marks(record["role"], record["side"], record["request_id"], b"", record["address"])
    logged = {name: record[name] for name in LOGGED if name not in _FROM_MARKS_AND_ID}
    return new_beat(
        exact.get("robot_id", record["robot_id"]),
        marks,
        **logged,
        kind_by_group=kind_from_word(exact.get("group", record["group"]) or ""),
        reported_kind=kind_from_word(payload.get("kind") or ""),
        site=payload.get("site") or "",
        firmware=payload.get("firmware") or "",
        battery_percent=payload.get("battery_percent"),
        interval_seconds=payload.get("next_in_s"),
    )


_FROM_MARKS_AND_ID = {"request_id", "robot_key", "robot_id", "role", "side", "address"}
