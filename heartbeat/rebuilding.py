"""Rebuild the state (robots, legacy rows) from the log of heartbeats."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
import structlog
from django.db import connection

from heartbeat.ingest import schema
from heartbeat.ingest.beat import Beat, LegacyBeat, V2Beat, who_is
from heartbeat.ingest.marks import Marks
from heartbeat.ingest.parameters import applied_columns
from heartbeat.ingest.statement import LEGACY, V2
from heartbeat.ingest.v2 import v2_beat
from heartbeat.rules.kind import kind_from_word
from heartbeat.rules.reporting import reported

log = structlog.get_logger(__name__)

CHUNK_ROWS = 1_000
#: nobody may write state meanwhile; heartbeats that come are answered 503, and by the other system through the door
_CLEAR = """
LOCK TABLE heartbeat_robot, heartbeat_legacyrow IN ACCESS EXCLUSIVE MODE;
CREATE TEMPORARY TABLE set_by_operators ON COMMIT DROP AS
    SELECT key, robot_id, bucket, kind_by_id, enrolled_at, tags, expected_interval_seconds, grace_seconds, site
    FROM heartbeat_robot
    WHERE enrolled_at IS NOT NULL OR tags <> '{}' OR expected_interval_seconds IS NOT NULL OR grace_seconds IS NOT NULL;
TRUNCATE heartbeat_robot, heartbeat_legacyrow RESTART IDENTITY;
"""
#: what operators set is not in the log; an enrolled robot that was never heard comes back by it alone
_RESTORE = """
UPDATE heartbeat_robot r SET enrolled_at = s.enrolled_at, tags = s.tags,
    expected_interval_seconds = s.expected_interval_seconds, grace_seconds = s.grace_seconds
FROM set_by_operators s WHERE r.key = s.key;
INSERT INTO heartbeat_robot (key, robot_id, bucket, kind_by_id, enrolled_at, tags, expected_interval_seconds,
                             grace_seconds, site)
SELECT key, robot_id, bucket, kind_by_id, coalesce(enrolled_at, now()), tags, expected_interval_seconds, grace_seconds,
       site
FROM set_by_operators
ON CONFLICT (key) DO NOTHING;
"""
_SPELLINGS = """
SELECT s.key, s.robot_key, s.robot_id, first.received_at, first.call, first.role, first.exact
FROM heartbeat_spelling s JOIN LATERAL (
    SELECT received_at, call, role, exact FROM heartbeat_heartbeat h WHERE h.spelling_id = s.id
    ORDER BY received_at LIMIT 1
) AS first ON true
"""
#: in the order of `heartbeat.ingest.statement.MEET`, with times of the log
_ENTER_ROBOTS = """
INSERT INTO heartbeat_robot AS r (key, robot_id, bucket, kind_by_id, first_seen_at, last_seen_at, protocol, last_role)
VALUES ($1, $2, $3, $4, $5, $5, $6, $7)
ON CONFLICT (key) DO UPDATE SET first_seen_at = least(r.first_seen_at, excluded.first_seen_at)
"""
_ENTER_ROWS = """
INSERT INTO heartbeat_legacyrow AS w (key, robot_id, first_at) VALUES ($1, $2, $3)
ON CONFLICT (key) DO UPDATE SET first_at = least(w.first_at, excluded.first_at)
"""
_LOG = """
SELECT h.*, s.robot_id, b.boot_id AS boot_name, p.document AS profile
FROM heartbeat_heartbeat h JOIN heartbeat_spelling s ON s.id = h.spelling_id
LEFT JOIN heartbeat_boot b ON b.id = h.boot_id LEFT JOIN heartbeat_profile p ON p.id = h.profile_id
ORDER BY h.received_at
"""


#: give what was taken over from another system, which the log does not hold
Source = Callable[[], Sequence[LegacyBeat]]

_sources: list[Source] = []


def also_from(source: Source) -> None:
    """Let the state stand on what `source` gives as well, from the next rebuild on."""
    _sources.append(source)


def rebuild_state() -> int:
    """Derive all robots and legacy rows anew, in one transaction; returns how many heartbeats they stand on."""
    others = [beat for source in _sources for beat in source()]
    given = connection.get_connection_params()
    target = {
        "host": given.get("host") or None,
        "port": given.get("port") or None,
        "user": given.get("user") or None,
        "password": given.get("password") or None,
        "database": given.get("dbname"),
    }
    heartbeats = asyncio.run(_rebuild(target, others))
    log.info("state.rebuilt", heartbeats=heartbeats, taken_over=len(others))
    return heartbeats


async def _rebuild(target: dict[str, Any], others: Sequence[LegacyBeat]) -> int:
    database = await asyncpg.connect(**target)
    heartbeats = 0
    try:
        async with database.transaction():
            await database.execute(_CLEAR)
            await _enter(database)
            chunk: list[Beat] = []
            async for record in database.cursor(_LOG, prefetch=CHUNK_ROWS):
                chunk.append(_v2_beat_of(record) if record["call"] == "heartbeat" else _legacy_beat_of(record))
                if len(chunk) == CHUNK_ROWS:
                    heartbeats += await _apply(database, chunk)
                    chunk = []
            heartbeats += await _apply(database, chunk)
            for start in range(0, len(others), CHUNK_ROWS):
                await _apply_others(database, others[start : start + CHUNK_ROWS])
            await database.execute(_RESTORE)
    finally:
        await database.close()
    return heartbeats


async def _enter(database: asyncpg.Connection) -> None:
    """Every robot and every row, before anything moves them."""
    robots, rows = [], []
    for found in await database.fetch(_SPELLINGS):
        exact = json.loads(found["exact"]) if found["exact"] else {}
        who = who_is(exact.get("robot_id", found["robot_id"]))
        protocol = "v2" if found["call"] == "heartbeat" else "legacy"
        robots.append(
            (found["robot_key"], who.shown, who.bucket, who.kind, found["received_at"], protocol, found["role"])
        )
        rows.append((found["key"], found["robot_id"], found["received_at"]))
    await database.executemany(_ENTER_ROBOTS, robots)
    await database.executemany(_ENTER_ROWS, rows)


async def _apply_others(database: asyncpg.Connection, beats: Sequence[LegacyBeat]) -> None:
    robots = [
        (beat.robot_key, beat.who.shown, beat.who.bucket, beat.who.kind, beat.received_at, "legacy", beat.role)
        for beat in beats
    ]
    await database.executemany(_ENTER_ROBOTS, robots)
    await database.executemany(_ENTER_ROWS, [(beat.row_key, beat.who.shown, beat.received_at) for beat in beats])
    await _apply(database, list(beats))


async def _apply(database: asyncpg.Connection, beats: list[Beat]) -> int:
    for kind, statements in ((LegacyBeat, LEGACY), (V2Beat, V2)):
        if some := [beat for beat in beats if isinstance(beat, kind)]:
            await database.fetchrow(statements.apply, *applied_columns(some))
    return len(beats)


def _common(record: asyncpg.Record, robot_id: str) -> dict[str, Any]:
    who = who_is(robot_id)
    arrived = {name: record[name] for name in ("received_at", "role", "side", "address", "call", "request_id")}
    at = record["at"] or record["received_at"]
    return {**arrived, "at": at, "who": who, "robot_key": who.robot_key, "row_key": who.row_key}


def _legacy_beat_of(record: asyncpg.Record) -> LegacyBeat:
    exact = json.loads(record["exact"]) if record["exact"] else {}
    said = ("status", "message", "health", "deployment_id", "version", "current_version", "group", "exact")
    return LegacyBeat(
        **_common(record, exact.get("robot_id", record["robot_id"])),
        **{name: record[name] for name in said},
        kind_by_group=kind_from_word(exact.get("group", record["group"]) or ""),
    )


def _v2_beat_of(record: asyncpg.Record) -> V2Beat:
    rest = json.loads(record["rest"]) if record["rest"] else None
    profile = json.loads(record["profile"]) if record["profile"] else {}
    fields = reported({**record, "rest": rest}, profile, record["boot_name"]) | {"robot_id": record["robot_id"]}
    said = schema.convert(fields)
    request_id = str(record["request_id"]).encode()
    marks = Marks(record["role"], record["side"], request_id, record["address"])
    beat = v2_beat(said, 0, marks)
    beat.received_at, beat.at = record["received_at"], record["at"] or record["received_at"]
    return beat
