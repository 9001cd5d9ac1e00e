"""The baseline of `benchmarks.liveness`: a monitor that looks at every robot every few seconds.

`python -m benchmarks.liveness_poller DSN SECONDS`: one loop, one scan, as monitors that poll do it. It knows no deaf
times; an outage of its own looks to it like one of the fleet.
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from heartbeat.rules.liveness import Liveness, silence, thresholds

TABLE = "CREATE TABLE polled (robot_id text, to_state text, became_at timestamptz)"
_SCAN = "SELECT robot_id, last_seen_at, interval_seconds FROM heartbeat_robot"


def main() -> None:
    """Poll until somebody ends the process."""
    dsn, seconds = sys.argv[1], float(sys.argv[2])
    states: dict[str, Liveness] = {}
    with psycopg.connect(dsn, autocommit=True) as connection:
        while True:
            due = time.monotonic() + seconds
            changes = _changes(connection, states)
            if changes:
                with connection.cursor() as cursor:
                    columns = [list(column) for column in zip(*changes, strict=True)]
                    cursor.execute(
                        "INSERT INTO polled SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[])", columns
                    )
            time.sleep(max(0.0, due - time.monotonic()))


def _changes(connection: psycopg.Connection[Any], states: dict[str, Liveness]) -> list[tuple[str, str, datetime]]:
    now = datetime.now(UTC)
    changes = []
    for robot_id, last, interval in connection.execute(_SCAN).fetchall():
        limits = thresholds(interval)
        state = silence(now - last, limits)
        if state is not states.setdefault(robot_id, Liveness.ONLINE):
            states[robot_id] = state
            after = timedelta(0) if state is Liveness.ONLINE else timedelta(seconds=limits.after_seconds(state))
            changes.append((robot_id, state.value, last + after))
    return changes


if __name__ == "__main__":
    main()
