"""Reading the v2 heartbeats behind a cursor: the only place of the relay that knows the log's columns."""

import json
from datetime import datetime

import asyncpg

from heartbeat.rules.identity import row_key_of
from heartbeat.rules.relaying import Item

#: `received_at` rises in the order of commits (one ingest writes), so nothing appears behind a cursor later
READ = """
SELECT received_at, received_at AS at, request_id, robot_id, deployment_id, version, status, message, health
FROM heartbeat_heartbeat
WHERE call = 'heartbeat' AND received_at > $1
ORDER BY received_at LIMIT $2
"""
COUNT = """
SELECT count(*), max(received_at) FROM heartbeat_heartbeat
WHERE call = 'heartbeat' AND received_at > $1 AND received_at < $2
"""
#: after days without a relay there is much to count
COUNT_SECONDS = 120.0


async def read(connection: asyncpg.Connection, cursor: datetime, most: int) -> list[Item]:
    """The oldest `most` accepted v2 heartbeats behind `cursor`, in legacy's words."""
    return [_item(row) for row in await connection.fetch(READ, cursor, most)]


async def count(connection: asyncpg.Connection, cursor: datetime, before: datetime) -> tuple[int, datetime | None]:
    """How many were accepted behind `cursor` and `before` a moment, and when the last of them."""
    row = await connection.fetchrow(COUNT, cursor, before, timeout=COUNT_SECONDS)
    return row[0], row[1]


def _item(row: asyncpg.Record) -> Item:
    body = {name: row[name] for name in ("robot_id", "deployment_id", "version", "status", "message")}
    body["health"] = None if row["health"] is None else json.loads(row["health"])
    return Item(row["received_at"], row["at"], row_key_of(row["robot_id"]), row["request_id"], body)
