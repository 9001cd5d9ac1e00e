"""Keeping what was taken over, and reading what such rows are judged by: one statement for a whole batch.

The columns of a batch go over as array literals (`heartbeat.ingest.arrays`): made row by row by the ORM, they were most
of what a full sync cost.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection

from heartbeat.ingest.arrays import array_literal, keys_literal
from heartbeat.rules.json_text import json_text
from heartbeat.taking_over import HeldRow, Told
from migration.rules.echoing import Words

#: the newest per row for a rebuild, and the gap in `new`'s history: one grows for as long as only sync tells of the
#: row; `before` is the latest call that `new` knew
_KEEP = """
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(%s::bytea[], %s::bytea[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::json[],
        %s::json[], %s::text[], %s::bytea[])
        AS given(key, robot_key, robot_id, before, at, said, asked, address, digest)
), remembered AS (
    INSERT INTO migration_syncedrow (key, robot_key, robot_id, at, said, asked, address, digest, taken_over_at)
    SELECT key, robot_key, robot_id, at, said, asked, address, digest, %s FROM given
    ON CONFLICT (key) DO UPDATE SET robot_id = excluded.robot_id, at = excluded.at, said = excluded.said,
        asked = excluded.asked, address = excluded.address, digest = excluded.digest,
        taken_over_at = excluded.taken_over_at
), growing AS MATERIALIZED (
    SELECT latest.id, given.key, given.at FROM given CROSS JOIN LATERAL (
        SELECT id, ended_at FROM migration_historygap g
        WHERE g.of = 'new' AND g.key = given.key AND given.before IS NOT NULL ORDER BY ended_at DESC LIMIT 1
    ) AS latest WHERE latest.ended_at >= given.before
), grown AS (
    UPDATE migration_historygap g SET ended_at = growing.at, fills = g.fills + 1 FROM growing WHERE g.id = growing.id
)
INSERT INTO migration_historygap (of, key, robot_id, began_at, ended_at, fills)
SELECT 'new', key, robot_id, before, at, 1 FROM given WHERE key NOT IN (SELECT key FROM growing)
"""
_TOLD = """
SELECT coalesce(json_agg(json_build_array(encode(key, 'hex'), body, at, sent_at, acknowledged_at))::text, '[]') FROM (
    SELECT key, body, at, sent_at, acknowledged_at FROM heartbeat_relayed WHERE key = ANY(%s::bytea[])
    UNION ALL
    SELECT key, body, at, sent_at, acknowledged_at FROM migration_replayed WHERE key = ANY(%s::bytea[])
) AS told
"""
_told = msgspec.json.Decoder(list[tuple[str, Any, datetime, datetime, datetime]])


def keep(stored: Sequence[tuple[Told, bytes]], held: Mapping[bytes, HeldRow], now: datetime) -> None:
    """Keep what was taken over, each with the digest of the row as legacy listed it, and the gaps that it fills.

    `held` is what `new` had before.
    """
    if not stored:
        return
    told = [one for one, _ in stored]
    columns = [
        keys_literal(one.who.row_key for one in told),
        keys_literal(one.who.robot_key for one in told),
        array_literal([one.robot_id.replace("\x00", "\u2400") for one in told]),
        array_literal([held[one.who.row_key].at if one.who.row_key in held else None for one in told]),
        array_literal([one.at for one in told]),
        array_literal([_text(one.said) for one in told]),
        array_literal([_text(one.asked) for one in told]),
        array_literal([one.address for one in told]),
        keys_literal(digest for _, digest in stored),
    ]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [*columns, now])


def told_to_legacy(keys: Iterable[bytes]) -> dict[bytes, list[Words]]:
    """What the relay and sync's own replay last told legacy, by row."""
    asked = keys_literal(keys)
    with connection.cursor() as cursor:
        cursor.execute(_TOLD, [asked, asked])
        found = _told.decode(cursor.fetchone()[0])
    words: dict[bytes, list[Words]] = {}
    for key, *said in found:
        words.setdefault(bytes.fromhex(key), []).append(Words(*said))
    return words


def addresses_of(robots: Iterable[bytes]) -> dict[bytes, str]:
    """Where robots called from, by their keys, so that what legacy does not know is not forgotten."""
    with connection.cursor() as cursor:
        query = "SELECT key, address FROM heartbeat_robot WHERE key = ANY(%s::bytea[]) AND address <> ''"
        cursor.execute(query, [keys_literal(robots)])
        return {bytes(key): address for key, address in cursor.fetchall()}


def _text(document: Mapping[str, Any] | None) -> str | None:
    return None if document is None else json_text(document)[0]
