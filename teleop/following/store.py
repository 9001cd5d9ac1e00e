"""What the watcher of operation reads of its own and writes, all of a tick in one transaction under its lease."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from teleop.following.fleet import Held
from teleop.following.standing_text import read
from teleop.following.writing import Write
from teleop.rules.layouts import Layout

_OPEN_CURSOR = """
INSERT INTO teleop_followercursor (id, log_at, signal_id, updated_at)
VALUES (1, clock_timestamp() - interval '10 seconds', coalesce((SELECT max(id) FROM teleop_signal), 0),
    clock_timestamp())
ON CONFLICT (id) DO UPDATE SET updated_at = clock_timestamp() RETURNING log_at, signal_id
"""
_LAYOUTS = "SELECT kind, site, command_ports, observation_ports, command_timeout_ms FROM teleop_robotlayout"
_ROBOTS = """
SELECT o.robot_key, o.robot_id, coalesce(nullif(r.kind, 'unknown'), o.kind), coalesce(nullif(r.site, ''), o.site),
    o.standing, o.legacy_claims, extract(epoch FROM o.legacy_told_at)::float8
FROM teleop_robotoperation o LEFT JOIN heartbeat_robot r ON r.key = o.robot_key
"""
_KINDS = "SELECT key, kind, site FROM heartbeat_robot WHERE key = ANY(%s)"
_HEARING = "SELECT until FROM heartbeat_hearing WHERE name = 'ingest'"
_STOPPED = """
SELECT session_id::text FROM teleop_stoprequest
WHERE state = 'acknowledged' AND session_id IS NOT NULL AND answered_at > clock_timestamp() - interval '30 seconds'
"""
_EXPIRE = """
UPDATE teleop_stoprequest SET state = 'timed_out' WHERE state IN ('asked', 'sent') AND expires_at < clock_timestamp()
RETURNING robot_id, id::text
"""


@dataclass(frozen=True, slots=True)
class Cursors:
    """How far was read."""

    log_at: datetime
    signal_id: int


class Store:
    """Reads and writes through `connection`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def cursors(self) -> Cursors:
        """Where to go on; the very first watcher begins with what is fresh."""
        row = self.connection.execute(_OPEN_CURSOR).fetchone()
        assert row is not None
        return Cursors(*row)

    def robots(self) -> list[Held]:
        """Every robot as it was stored."""
        return [
            Held(bytes(key), robot_id, kind, site, read(standing), legacy_claims=claims, legacy_told_at=told)
            for key, robot_id, kind, site, standing, claims, told in self.connection.execute(_ROBOTS)
        ]

    def layouts(self) -> list[Layout]:
        """What operators say of ports."""
        return [
            Layout(kind, site, frozenset(commands), frozenset(observations), timeout / 1000)
            for kind, site, commands, observations, timeout in self.connection.execute(_LAYOUTS)
        ]

    def kinds(self, keys: Iterable[bytes]) -> dict[bytes, tuple[str, str]]:
        """Kind and site of robots that do not say them with every signal."""
        rows = self.connection.execute(_KINDS, [list(keys)])
        return {bytes(key): ("" if kind == "unknown" else kind, site) for key, kind, site in rows}

    def heard_until(self) -> float | None:
        """Everything that ingest received until then is stored; None before it ran."""
        row = self.connection.execute(_HEARING).fetchone()
        return row[0].timestamp() if row else None

    def stopped_sessions(self) -> list[str]:
        """Sessions whose robots acknowledged lately that they stop them."""
        return [row[0] for row in self.connection.execute(_STOPPED)]

    def expire_stops(self) -> list[tuple[str, str]]:
        """Requests that nobody answered are timed out; returns (robot, request)."""
        return self.connection.execute(_EXPIRE).fetchall()

    def write(self, fence: Callable[[], None], writes: Sequence[Write]) -> None:
        """All of it or nothing, as the holder of the lease."""
        with self.connection.transaction():
            fence()
            with self.connection.pipeline():
                for statement, arguments in writes:
                    self.connection.execute(statement, arguments)  # type: ignore[arg-type]
