"""Rows of robots are really deleted and altered: traffic goes to 0 % by itself, the state is restored from the log."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from simulator.autopilot.chapters.outage import release
from simulator.autopilot.flight import Flight, say

DAMAGED = 4
WRONG = "melted"
#: the watchdog's recorder looks every 15 s whether the state follows from the heartbeats
NOTICED_SECONDS = 60.0
RESTORED_SECONDS = 60.0

_OWNED = (
    "SELECT robot_id FROM heartbeat_robot WHERE last_side = 'new' AND protocol = 'legacy' ORDER BY robot_id LIMIT %s"
)
_MELT = """
CREATE FUNCTION melt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.status := 'melted'; RETURN NEW; END $$;
CREATE TRIGGER melt BEFORE UPDATE ON heartbeat_robot FOR EACH ROW
WHEN (NEW.robot_id = ANY({robots})) EXECUTE FUNCTION melt();
"""


@contextmanager
def altered(database_url: str, robots: Sequence[str]) -> Iterator[None]:
    """Something alters these robots' rows again and again, past the application, until the block ends.

    What is altered or deleted once is right again with the robot's next word, a second later.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL(_MELT).format(robots=sql.Literal(list(robots))))
    try:
        yield
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("DROP FUNCTION melt CASCADE")


def damage(flight: Flight) -> None:
    """Damage robots that `new` owns, past the application, and wait until everything is as they said."""
    crew, known = flight.crew, len(flight.crew.rollbacks())
    crew.until("new owns robots", lambda: len(_rows(flight, _OWNED, (2 * DAMAGED,))) > DAMAGED, seconds=30)
    robots = [str(row[0]) for row in _rows(flight, _OWNED, (2 * DAMAGED,))]
    with altered(flight.database_url, robots[DAMAGED:]), psycopg.connect(flight.database_url) as connection:
        delete = "DELETE FROM heartbeat_robot WHERE robot_id = ANY(%s)"
        gone = connection.execute(delete, (robots[:DAMAGED],)).rowcount
        connection.commit()
        say(f"  {gone} robots were deleted from the database, {len(robots) - DAMAGED} are altered again and again")
        crew.until("the watchdog rolls back by itself", lambda: len(crew.rollbacks()) > known, seconds=NOTICED_SECONDS)
    done = crew.rollbacks()[-1]
    flight.claim(
        "corrupted data took traffic to 0 % by itself",
        done["rule"] == "data_corruption" and done["to_percent"] == 0,
        str(done["reason"]),
    )
    restore = crew.until("the restore is over", lambda: _restored(flight), seconds=RESTORED_SECONDS)
    # While tables are taken away and filled again, nothing is stored, and copies are not waited for.
    flight.outages.append((_at(restore["requested_at"]), _at(restore["ended_at"])))
    rows = _rows(flight, "SELECT status FROM heartbeat_robot WHERE robot_id = ANY(%s)", (robots,))
    wrong = [row for row in rows if row[0] == WRONG]
    flight.claim(
        "deleted and altered robots were restored from the log",
        restore["state"] == "validated" and gone == DAMAGED and len(rows) == len(robots) and not wrong,
        f"{restore['state']} {restore['failure']}".strip() + f", {len(rows)} of {len(robots)} back",
    )
    release(flight, "the state is restored and validated")


def _restored(flight: Flight) -> dict[str, Any] | None:
    rows = flight.crew.restores()
    return rows[-1] if rows and rows[-1]["state"] in ("validated", "failed") else None


def _at(told: str) -> float:
    return datetime.fromisoformat(told).timestamp()


def _rows(flight: Flight, query: str, arguments: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    with psycopg.connect(flight.database_url) as connection:
        return connection.execute(query.encode(), arguments).fetchall()
