"""Taking over what another system knows of robots that `new` did not hear itself.

It moves the robots' state by the statement that heartbeats move it with, so what is older never wins, and the log
stays what robots said to `new`. Whoever takes over keeps what it took and gives it to `heartbeat.rebuilding`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import psycopg
from django.db import connection, transaction

from heartbeat.ingest.arrays import array_literal, keys_literal
from heartbeat.ingest.beat import Identity, LegacyBeat, check_beat, health_text, status_beat, who_is
from heartbeat.ingest.marks import Marks
from heartbeat.ingest.parameters import applied_columns
from heartbeat.ingest.queries import MEET
from heartbeat.ingest.statement import LEGACY
from heartbeat.legacy_api.store import ROW, ROWS
from heartbeat.rules.rows import legacy_row, naive_local

#: heard by the other one, which is what a copy is of
_ROLE, _SIDE = "shadow", "legacy"
_HELD = f"{ROW} WHERE w.key = ANY(%s::bytea[])"
_NEWEST = "greatest(w.status_at, w.check_at, r.last_v2_at)"
#: one text for all rows, which is read in C: the driver turns every value of every row into Python by itself
_HEARD = f"""
SELECT coalesce(json_agg(json_build_array(encode(key, 'hex'), at, interval))::text, '[]') FROM (
    SELECT w.key, {_NEWEST} AS at, coalesce(b.expected_interval_seconds, b.interval_seconds) AS interval {ROWS}
    LEFT JOIN heartbeat_robot b ON b.robot_id = w.robot_id WHERE {_NEWEST} >= %s
) AS heard"""
_heard = msgspec.json.Decoder(list[tuple[str, datetime, float | None]])
#: rows that a heartbeat moves at this moment are left for later: nobody here ever waits for ingest
_LOCK_ROBOTS = "SELECT key FROM heartbeat_robot WHERE key = ANY(%s::bytea[]) ORDER BY key FOR UPDATE SKIP LOCKED"
_LOCK_ROWS = "SELECT key FROM heartbeat_legacyrow WHERE key = ANY(%s::bytea[]) ORDER BY key FOR UPDATE SKIP LOCKED"
_KNOWN_ROBOTS = "SELECT key FROM heartbeat_robot WHERE key = ANY(%s::bytea[]) AND last_seen_at IS NOT NULL"
_KNOWN_ROWS = "SELECT key FROM heartbeat_legacyrow WHERE key = ANY(%s::bytea[])"


@dataclass(frozen=True, slots=True)
class Told:
    """One robot's row as another system has it: `said` as of a heartbeat, `asked` as of an update check."""

    robot_id: str
    at: datetime
    said: Mapping[str, Any] | None = None
    asked: Mapping[str, Any] | None = None
    address: str = ""

    @property
    def who(self) -> Identity:
        """Its keys and what follows from the id."""
        return who_is(self.robot_id)

    def beats(self) -> list[LegacyBeat]:
        """As calls that were received when it was so."""
        marks = Marks(_ROLE, _SIDE, b"", self.address)
        made = []
        if self.said is not None:
            texts = {name: value for name, value in self.said.items() if name != "health"}
            health = health_text(self.said.get("health"), self.robot_id)
            made.append(status_beat({**texts, "robot_id": self.robot_id}, health, marks, 0))
        if self.asked is not None:
            made.append(
                check_beat(self.robot_id, self.asked["current_version"] or "", self.asked["group"] or "", marks)
            )
        for beat in made:
            beat.received_at = beat.at = self.at
            beat.request_id = None
        return made


@dataclass(frozen=True, slots=True)
class HeldRow:
    """What `new` holds of a row, as its legacy contract would answer it."""

    key: bytes
    robot_id: str
    status_at: datetime | None
    check_at: datetime | None
    row: Mapping[str, Any] = field(default_factory=dict)

    @property
    def at(self) -> datetime:
        """Its latest call."""
        return max(moment for moment in (self.status_at, self.check_at) if moment is not None)


def held_rows(keys: Sequence[bytes]) -> dict[bytes, HeldRow]:
    """The rows of these keys that `new` holds, by key."""
    return _held(_HELD, [keys_literal(keys)]) if keys else {}


def heard_since(moment: datetime) -> dict[bytes, tuple[datetime, float | None]]:
    """The rows whose latest call `new` heard at or after `moment`: key → when, and the robot's own interval in s."""
    with connection.cursor() as cursor:
        cursor.execute(_HEARD, [moment])
        found = _heard.decode(cursor.fetchone()[0])
    return {bytes.fromhex(key): (at, interval) for key, at, interval in found}


def rows_beyond(keys: Iterable[bytes]) -> list[str]:
    """The ids of rows that `new` holds and that are not among `keys`."""
    with connection.cursor() as cursor:
        beyond = "SELECT robot_id FROM heartbeat_legacyrow WHERE key <> ALL(%s::bytea[]) ORDER BY robot_id"
        cursor.execute(beyond, [keys_literal(keys)])
        return [robot_id for (robot_id,) in cursor.fetchall()]


def _held(query: str, parameters: list[Any]) -> dict[bytes, HeldRow]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        names = [column.name for column in cursor.description or ()]
        found = [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]
    held = {}
    for columns in found:
        if columns["status_at"] is None and columns["check_at"] is None:
            continue
        exact = {**(columns["exact_check"] or {}), **(columns["exact_status"] or {})}
        health = columns["health"]
        if columns["by_v2"] and isinstance(health, dict):
            # as a robot of legacy's says it, and as the relay told legacy
            stamp = columns["sent_at"]
            health = {**health, "timestamp": None if stamp is None else naive_local(stamp)}
        row = legacy_row(columns, health, exact)
        key = bytes(columns["key"])
        held[key] = HeldRow(key, columns["robot_id"], columns["status_at"], columns["check_at"], row)
    return held


@transaction.atomic(savepoint=False)
def take_over(told: Sequence[Told]) -> list[Told]:
    """Move the robots' state to what was told where that is newer. Returns what was applied.

    The rest is being moved by heartbeats at this moment and can be offered again.
    """
    if not told:
        return []
    with connection.cursor():
        raw = psycopg.RawCursor(connection.connection)
    by_row = {one.who.row_key: one for one in told}
    robots = {one.who.robot_key for one in told}
    known, there = _found(_KNOWN_ROBOTS, robots, _KNOWN_ROWS, by_row)
    strangers = [one for key, one in by_row.items() if key not in there or one.who.robot_key not in known]
    if strangers:
        raw.execute(MEET, _met(strangers))
    robots_mine, rows_mine = _found(_LOCK_ROBOTS, robots, _LOCK_ROWS, by_row)
    mine = [one for one in told if one.who.robot_key in robots_mine and one.who.row_key in rows_mine]
    if beats := [beat for one in mine for beat in one.beats()]:
        raw.execute(LEGACY.apply, applied_columns(beats))
    return mine


def _found(
    robots: str, robot_keys: Collection[bytes], rows: str, row_keys: Collection[bytes]
) -> tuple[set[bytes], set[bytes]]:
    """The keys that two queries find, in one question and as one text each."""
    robots, rows = (f"(SELECT string_agg(encode(key, 'hex'), ' ') FROM ({query}) AS found)" for query in (robots, rows))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {robots}, {rows}", [keys_literal(robot_keys), keys_literal(row_keys)])
        texts = cursor.fetchone()
    of_robots, of_rows = (set(map(bytes.fromhex, text.split(" "))) if text else set[bytes]() for text in texts)
    return of_robots, of_rows


def _met(told: Sequence[Told]) -> list[str]:
    rows = [(one.who.shown, one.who.bucket, one.who.kind, one.at, "legacy", _ROLE) for one in told]
    keys = [[one.who.row_key for one in told], [one.who.robot_key for one in told]]
    return [*map(keys_literal, keys), *map(array_literal, zip(*rows, strict=True))]


def set_kinds(words: Mapping[str, str]) -> int:
    """Give robots whose id tells no kind the one that is known otherwise: robot id → kind. Returns how many changed."""
    if not words:
        return 0
    keys = [who_is(robot_id).robot_key for robot_id in words]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE heartbeat_robot r SET kind_by_id = given.kind"
            " FROM unnest(%s::bytea[], %s::text[]) AS given(key, kind)"
            " WHERE r.key = given.key AND r.kind_by_id = '' AND given.kind <> ''",
            [keys, list(words.values())],
        )
        return cursor.rowcount
