"""The relay's own rows: where it is, what became of what it read, what each robot's legacy row was last told."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from heartbeat.relay import log as the_log
from heartbeat.rules.relaying import Finished, Item, Outcome

#: whoever holds it is the relay; it goes with the connection, so a killed relay does not block the next
LOCK = 0x6C656B69_72656C79 >> 1

_OPEN = """
INSERT INTO heartbeat_relay (id, cursor, accepted, relayed, coalesced, too_old, refused, failed, waiting, lag_seconds,
    updated_at)
VALUES (1, $1, 0, 0, 0, 0, 0, 0, 0, 0, clock_timestamp())
ON CONFLICT (id) DO UPDATE SET updated_at = clock_timestamp() RETURNING cursor
"""
_MOVE = """
UPDATE heartbeat_relay SET cursor = greatest(cursor, coalesce($1, cursor)), accepted = accepted + $2,
    relayed = relayed + $3, coalesced = coalesced + $4, too_old = too_old + $5, refused = refused + $6,
    failed = failed + $7, waiting = $8, lag_seconds = $9, legacy_silent_since = $10, updated_at = clock_timestamp()
"""
_REMEMBER = """
INSERT INTO heartbeat_relayed AS r (key, robot_id, request_id, at, sent_at, acknowledged_at, body)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[],
    $7::json[])
ON CONFLICT (key) DO UPDATE SET robot_id = excluded.robot_id, request_id = excluded.request_id, at = excluded.at,
    sent_at = excluded.sent_at, acknowledged_at = excluded.acknowledged_at, body = excluded.body
"""


async def become_the_relay(connection: asyncpg.Connection) -> bool:
    """Whether this connection holds the lock now."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK))


async def open_cursor(connection: asyncpg.Connection, now: datetime, too_old_seconds: float) -> tuple[datetime, int]:
    """Where to go on, and how many were skipped because they became too old while no relay ran.

    The very first relay begins with what is fresh: there was nothing to keep up with before it.
    """
    fresh = now - timedelta(seconds=too_old_seconds)
    cursor: datetime = await connection.fetchval(_OPEN, fresh)
    skipped, last = await the_log.count(connection, cursor, fresh)
    if last is not None:
        finished = Finished(last)
        finished.counts[Outcome.TOO_OLD] = skipped
        await keep(connection, finished, waiting=0, lag_seconds=0.0, silent_since=None)
        cursor = last
    return cursor, skipped


async def keep(
    connection: asyncpg.Connection,
    finished: Finished,
    *,
    waiting: int,
    lag_seconds: float,
    silent_since: datetime | None,
) -> None:
    """Store what was finished, in one transaction: the cursor moves exactly with its counts."""
    counts = finished.counts
    async with connection.transaction():
        await connection.execute(
            _MOVE,
            finished.cursor,
            counts.total(),
            *(counts[outcome] for outcome in Outcome),
            waiting,
            lag_seconds,
            silent_since,
        )
        if finished.relayed:
            await connection.execute(_REMEMBER, *_columns(list(finished.relayed.values())))


async def latest(connection: asyncpg.Connection) -> dict[bytes, datetime]:
    """`at` of what legacy was last told, by key."""
    return {bytes(row["key"]): row["at"] for row in await connection.fetch("SELECT key, at FROM heartbeat_relayed")}


def _columns(items: Sequence[Item]) -> list[list[object]]:
    return [
        [item.key for item in items],
        [item.body["robot_id"] for item in items],
        [item.request_id for item in items],
        [item.at for item in items],
        [item.sent_at for item in items],
        [item.acknowledged_at for item in items],
        [json.dumps(item.body) for item in items],
    ]
