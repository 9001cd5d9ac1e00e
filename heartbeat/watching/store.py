"""What the watcher reads, and its one fenced way to write. A connection of its own: it must not wait for anybody."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from heartbeat.rules.deafness import Deaf
from heartbeat.rules.identity import key_of
from heartbeat.rules.liveness import Liveness
from heartbeat.rules.windows import Planned, Scope
from heartbeat.watching.robots import Held, Reading

CHANNEL = "lekiwi_robots"
#: a statement or an open transaction that takes longer ends, and the lease with it
STATEMENT_MILLISECONDS = 5_000
IDLE_MILLISECONDS = 1_000

_COLUMNS = """
    r.key, r.robot_id, r.site, r.kind, r.tags, coalesce(r.expected_interval_seconds, r.interval_seconds),
    r.grace_seconds, r.first_seen_at, r.last_seen_at, r.last_side = 'legacy'
"""
_ALL = f"SELECT {_COLUMNS} FROM heartbeat_robot r"
_SOME = f"SELECT {_COLUMNS} FROM heartbeat_robot r WHERE r.key = ANY(%s)"
_NEXT = f"SELECT {_COLUMNS} FROM heartbeat_robot r WHERE r.key > %s ORDER BY r.key LIMIT %s"
_HELD = """
    SELECT robot_key, state, since, heard_at, number, told, incident_id, falls, flap_score, flap_at, flapping
    FROM heartbeat_liveness
"""
_OPEN = "SELECT id, site, level, opened_at, last_joined_at, robots FROM heartbeat_incident WHERE closed_at IS NULL"
_MEMBERS = """
    SELECT m.incident_id, m.robot_key FROM heartbeat_incidentmember m JOIN heartbeat_incident i ON i.id = m.incident_id
    WHERE i.closed_at IS NULL AND m.left_at IS NULL
"""
_NEW_ID = "SELECT nextval(pg_get_serial_sequence('heartbeat_incident', 'id'))"
_HEARING = "SELECT until FROM heartbeat_hearing WHERE name = 'ingest'"
_DEAF = "SELECT id, began_at, ended_at FROM heartbeat_deafness WHERE id > %s ORDER BY id"
_WINDOWS = """
    SELECT id, scope, value, robots, starts_at, ends_at, reason FROM heartbeat_maintenancewindow
    WHERE ends_at IS NULL OR ends_at > now() - interval '14 days'
"""


@dataclass(slots=True)
class OpenIncident:
    """An incident that is not over, and who is in it."""

    id: int
    site: str
    level: str
    opened_at: datetime
    last_joined_at: datetime
    robots: int
    members: set[bytes]


def connect(dsn: str) -> psycopg.Connection[Any]:
    """A connection on which nothing can hang for long: a holder that was stopped in a transaction loses it."""
    options = (
        f"-c statement_timeout={STATEMENT_MILLISECONDS} -c idle_in_transaction_session_timeout={IDLE_MILLISECONDS}"
    )
    info = make_conninfo(dsn, connect_timeout=2, options=options, application_name="watcher")
    return psycopg.connect(info, autocommit=True)


class Store:
    """Reads for the watcher through `connection`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self._told: set[bytes] = set()
        connection.add_notify_handler(lambda notify: self._told.add(bytes.fromhex(notify.payload)))

    def listen(self) -> None:
        """From now on, `told` names robots whose deadline may have come forward."""
        self.connection.execute(f"LISTEN {CHANNEL}")

    def told(self) -> set[bytes]:
        """Robots that changed since the last call, as far as the connection has heard by its latest statement."""
        told, self._told = self._told, set()
        return told

    def read_all(self) -> Iterator[Reading]:
        """Every robot."""
        return map(_reading, self.connection.execute(_ALL))

    def read(self, keys: Iterable[bytes]) -> list[Reading]:
        """These robots, as far as they are there."""
        return [_reading(row) for row in self.connection.execute(_SOME, [list(keys)])]

    def read_after(self, key: bytes, most: int) -> list[Reading]:
        """The next robots in the order of their keys."""
        return [_reading(row) for row in self.connection.execute(_NEXT, [key, most])]

    def held(self) -> dict[bytes, Held]:
        """What the watcher wrote of each robot."""
        return {
            bytes(key): Held(Liveness(state), *rest) for key, state, *rest in self.connection.execute(_HELD).fetchall()
        }

    def open_incidents(self) -> dict[int, OpenIncident]:
        """Incidents that are not over, by id."""
        found = {row[0]: OpenIncident(*row, members=set()) for row in self.connection.execute(_OPEN).fetchall()}
        for incident, key in self.connection.execute(_MEMBERS).fetchall():
            if incident in found:
                found[incident].members.add(bytes(key))
        return found

    def new_incident_id(self) -> int:
        """An id that no incident has."""
        row = self.connection.execute(_NEW_ID).fetchone()
        assert row is not None
        return int(row[0])

    def heard_until(self) -> datetime | None:
        """Everything received until then is stored; None before anything was."""
        row = self.connection.execute(_HEARING).fetchone()
        return row[0] if row else None

    def deaf_after(self, last_id: int) -> list[tuple[int, Deaf]]:
        """Deaf times that were recorded after the one with this id."""
        return [(row[0], Deaf(*row[1:])) for row in self.connection.execute(_DEAF, [last_id]).fetchall()]

    def windows(self) -> list[Planned]:
        """Maintenance windows that are to come, in force, or over for less than two weeks."""
        return [
            Planned(row[0], Scope(row[1]), row[2], frozenset(map(key_of, row[3])), *row[4:])
            for row in self.connection.execute(_WINDOWS).fetchall()
        ]

    def write(self, fence: Callable[[], None], *writes: tuple[str, Sequence[Any]]) -> None:
        """Run all writes in one transaction that `fence` opens: all of them, or none."""
        with self.connection.transaction():
            fence()
            for statement, arguments in writes:
                self.connection.execute(statement, arguments)  # type: ignore[arg-type]


def _reading(row: Sequence[Any]) -> Reading:
    key, robot_id, site, kind, tags, interval, grace, first, last, is_legacys = row
    return Reading(bytes(key), robot_id, site, kind, tuple(tags), interval, grace, first, last, is_legacys)
