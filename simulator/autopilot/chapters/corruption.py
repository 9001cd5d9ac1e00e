"""Rows of robots are really deleted and altered: traffic goes to 0 % by itself, the state is restored from the log."""

from typing import Any

import psycopg

from simulator.autopilot.chapters.outage import release
from simulator.autopilot.flight import Flight, say

DAMAGED = 4
#: the watchdog's recorder looks every 15 s whether the state follows from the heartbeats
NOTICED_SECONDS = 60.0
RESTORED_SECONDS = 60.0

_OWNED = (
    "SELECT robot_id FROM heartbeat_robot WHERE last_side = 'new' AND protocol = 'legacy' ORDER BY robot_id LIMIT %s"
)


def damage(flight: Flight) -> None:
    """Damage robots that `new` owns, past the application, and wait until everything is as they said."""
    crew, known = flight.crew, len(flight.crew.rollbacks())
    crew.until("new owns robots", lambda: len(_rows(flight, _OWNED, (2 * DAMAGED,))) > DAMAGED, seconds=30)
    robots = [str(row[0]) for row in _rows(flight, _OWNED, (2 * DAMAGED,))]
    deleted, altered = robots[:DAMAGED], robots[DAMAGED:]
    with psycopg.connect(flight.database_url) as connection:
        connection.execute("UPDATE heartbeat_robot SET status = 'melted' WHERE robot_id = ANY(%s)", (altered,))
        gone = connection.execute("DELETE FROM heartbeat_robot WHERE robot_id = ANY(%s)", (deleted,)).rowcount
    say(f"  {gone} robots were deleted from the database, {len(altered)} altered")
    crew.until("the watchdog rolls back by itself", lambda: len(crew.rollbacks()) > known, seconds=NOTICED_SECONDS)
    done = crew.rollbacks()[-1]
    restore = crew.until("the restore is over", lambda: _restored(flight), seconds=RESTORED_SECONDS)
    rows = _rows(flight, "SELECT status FROM heartbeat_robot WHERE robot_id = ANY(%s)", (robots,))
    melted = [row for row in rows if row[0] == "melted"]
    flight.claim(
        "corrupted data took traffic to 0 % by itself",
        done["rule"] == "data_corruption" and done["to_percent"] == 0,
        str(done["reason"]),
    )
    flight.claim(
        "deleted and altered robots were restored from the log",
        restore["state"] == "validated" and gone == DAMAGED and len(rows) == len(robots) and not melted,
        f"{restore['state']} {restore['failure']}".strip() + f", {len(rows)} of {len(robots)} back",
    )
    release(flight, "the state is restored and validated")


def _restored(flight: Flight) -> dict[str, Any] | None:
    rows = flight.crew.restores()
    return rows[-1] if rows and rows[-1]["state"] in ("validated", "failed") else None


def _rows(flight: Flight, query: str, arguments: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    with psycopg.connect(flight.database_url) as connection:
        return connection.execute(query.encode(), arguments).fetchall()
