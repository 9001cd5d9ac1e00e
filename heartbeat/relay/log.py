"""Reading the v2 heartbeats behind a cursor: the only place of the relay that knows the log's columns."""

import json
from datetime import datetime

import asyncpg

from heartbeat.rules.identity import row_key_of
from heartbeat.rules.relaying import Item
from heartbeat.rules.reporting import SERVICE_LETTERS

#: `received_at` rises in the order of commits (one ingest writes), so nothing appears behind a cursor later
READ = """
SELECT received_at, at, request_id, robot_id, deployment_id, version, status, message, services, service_names, sent_at
FROM heartbeat_history
WHERE call = 'heartbeat' AND received_at > $1
ORDER BY received_at LIMIT $2
"""
COUNT = """
SELECT count(*), max(received_at) FROM heartbeat_heartbeat
WHERE call = 'heartbeat' AND received_at > $1 AND received_at < $2
"""
_SERVICE_WORDS = {letter: word for word, letter in SERVICE_LETTERS.items()}
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
    body["health"] = _health(row)
    return Item(row["received_at"], row["at"], row_key_of(row["robot_id"]), row["request_id"], body)


def _health(row: asyncpg.Record) -> dict[str, object] | None:
    """As legacy's robots say it: services, and the time by the robot's own clock, without an offset."""
    if row["services"] is None:
        return None
    names = json.loads(row["service_names"])
    stamp = None if row["sent_at"] is None else row["sent_at"].replace(tzinfo=None).isoformat()
    services = {name: _SERVICE_WORDS[letter] for name, letter in zip(names, row["services"], strict=True)}
    return {"services": services, "timestamp": stamp}
