"""A fleet whose time the test decides: robots speak, somebody listens, the watcher ticks, all at given moments."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from heartbeat.rules.identity import key_of
from heartbeat.watching.legacy_rows import LegacyRows
from heartbeat.watching.store import Store, connect
from heartbeat.watching.watcher import Watcher

T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
TABLES = (
    *("robot", "livenessevent", "liveness", "incidentmember", "notice", "incident", "maintenancewindow"),
    *("lease", "hearing", "deafness"),
)
#: what the tests' robots speak by: late after 61 s, offline after 152 s
INTERVAL_SECONDS = 30.0
#: nobody listens there, and nobody has to: a connection is refused at once
NO_LEGACY = "http://127.0.0.1:1"


def at(seconds: float) -> datetime:
    """So many seconds after the beginning."""
    return T0 + timedelta(seconds=seconds)


class World:
    """The database at `dsn`, and a watcher on it."""

    def __init__(self, dsn: str, legacy_url: str = NO_LEGACY) -> None:
        self.dsn = dsn
        self.legacy_url = legacy_url
        self.now = T0
        self.database = psycopg.connect(dsn, autocommit=True, row_factory=dict_row)
        self.database.execute("TRUNCATE " + ", ".join(f"heartbeat_{name}" for name in TABLES) + " RESTART IDENTITY")
        self.fence: Callable[[], None] = lambda: None
        self._watching: psycopg.Connection[Any] | None = None
        self.hear(0)
        self.watcher = self.restarted()

    def close(self) -> None:
        """Drop the connections."""
        self.database.close()
        if self._watching:
            self._watching.close()

    def restarted(self) -> Watcher:
        """Throw the watcher away and start another."""
        if self._watching:
            self._watching.close()
        self._watching = connect(self.dsn)
        self.legacy = LegacyRows(self.legacy_url, clock=lambda: self.now)
        self.watcher = Watcher(Store(self._watching), self.fence, self.legacy, fleet_interval_seconds=INTERVAL_SECONDS)
        return self.watcher

    def robot(self, robot_id: str, heard: float | None = 0, **columns: Any) -> None:
        """A robot that was heard at this second, or enrolled and never heard."""
        given = {"key": key_of(robot_id), "robot_id": robot_id, "first_seen_at": None, **columns}
        given["first_seen_at"] = given["last_seen_at"] = None if heard is None else at(heard)
        given.setdefault("enrolled_at", T0)
        names = ", ".join(given)
        marks = ", ".join(["%s"] * len(given))
        self.database.execute(f"INSERT INTO heartbeat_robot ({names}) VALUES ({marks})", list(given.values()))

    def beat(self, robot_id: str, second: float, **columns: Any) -> None:
        """The robot is heard."""
        columns = {"last_seen_at": at(second), **columns}
        sets = "first_seen_at = coalesce(first_seen_at, %s), " + ", ".join(f"{name} = %s" for name in columns)
        self.database.execute(
            f"UPDATE heartbeat_robot SET {sets} WHERE key = %s", [at(second), *columns.values(), key_of(robot_id)]
        )

    def hear(self, second: float, *, tolerated_seconds: float = 1e6) -> None:
        """Say that everything until this second is stored; by default, that all before it was heard too."""
        self.database.execute(
            "SELECT heartbeat_say_hearing(%s, %s * interval '1 second')", [at(second), tolerated_seconds]
        )

    def tick(self, second: float) -> None:
        """The watcher looks, and nobody has to have listened."""
        self.now = at(second)
        self.watcher.tick(self.now)

    def pass_to(self, *seconds: float) -> None:
        """Listen and look at each of these seconds."""
        for second in seconds:
            self.hear(second)
            self.tick(second)

    def window(self, second: float, until: float | None = None, scope: str = "everything", **columns: Any) -> int:
        """A maintenance window."""
        given = {"value": "", "robots": [], "reason": "motors swapped", **columns}
        row = self.database.execute(
            """INSERT INTO heartbeat_maintenancewindow
               (scope, value, robots, starts_at, ends_at, reason, created_by, created_at, ended_by)
               VALUES (%s, %s, %s, %s, %s, %s, 'qa', %s, '') RETURNING id""",
            [
                scope,
                given["value"],
                given["robots"],
                at(second),
                None if until is None else at(until),
                given["reason"],
                T0,
            ],
        ).fetchone()
        assert row
        return int(row["id"])

    def rows(self, query: str) -> list[dict[str, Any]]:
        """What a query finds."""
        return self.database.execute(query).fetchall()  # type: ignore[call-overload]

    def events(self, robot_id: str | None = None) -> list[tuple[str, float]]:
        """(to, second it became true) of one robot or all, in order; the first hearing left out."""
        found = self.rows("SELECT * FROM heartbeat_livenessevent WHERE from_state <> 'never' ORDER BY id")
        return [
            (row["to_state"], round((row["became_at"] - T0).total_seconds(), 3))
            for row in found
            if robot_id in (None, row["robot_id"])
        ]

    def notices(self) -> list[str]:
        """The routes of all notices, in order."""
        return [row["route"] for row in self.rows("SELECT route FROM heartbeat_notice ORDER BY id")]

    def state(self, robot_id: str) -> str:
        """What the watcher holds of a robot."""
        (row,) = self.database.execute(
            "SELECT state FROM heartbeat_liveness WHERE robot_key = %s", [key_of(robot_id)]
        ).fetchall()
        return str(row["state"])
