"""What a clock that was ahead has stamped can be put right."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from heartbeat.errors import ClockNotCorrected
from heartbeat.history.correcting import correct
from heartbeat.history.keeping import keep_up
from heartbeat.history.partitions import LOG
from heartbeat.history.rollup import is_complete
from tests.heartbeat.history.conftest import NOW, TODAY, heard, number, rows

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WRONG = datetime(2037, 1, 1, 12, 0, tzinfo=UTC)


def test_heartbeats_and_robots_of_2037_are_set_back_to_when_the_clock_jumped(history: psycopg.Connection) -> None:
    keep_up(history, NOW - 2 * HOUR)
    heard(history, NOW - HOUR, 60, every=SECOND)
    history.execute(
        "INSERT INTO heartbeat_robot (key, robot_id, first_seen_at, last_seen_at, last_status_at)"
        " VALUES ('xle_1', 'XLE_1', %s, %s, %s), ('xle_2', 'XLE_2', %s, %s, NULL)",
        (NOW - DAY, WRONG + 59 * SECOND, WRONG + 59 * SECOND, NOW - DAY, NOW - HOUR),
    )
    history.execute("INSERT INTO heartbeat_boot (robot_key, boot_id, first_at) VALUES ('xle_1', 'b', %s)", (WRONG,))
    history.execute(
        "INSERT INTO heartbeat_relay (id, cursor, accepted, relayed, coalesced, too_old, refused, failed, waiting,"
        " lag_seconds, updated_at) VALUES (1, %s, 0, 0, 0, 0, 0, 0, 0, 0, %s)",
        (WRONG + 59 * SECOND, WRONG + MINUTE),
    )
    heard(history, WRONG, 60, every=SECOND)
    keep_up(history, WRONG + HOUR)

    done = correct(history, NOW, NOW - 30 * MINUTE)

    jumped = NOW - 30 * MINUTE
    assert (done.heartbeats, done.robots) == (60, 1)
    assert number(history, f"SELECT count(*) FROM {LOG} WHERE received_at BETWEEN %s AND %s", jumped, NOW) == 60
    assert history.execute("SELECT last_seen_at, last_status_at FROM heartbeat_robot ORDER BY key").fetchall() == [
        (jumped + 59 * SECOND, jumped + 59 * SECOND),
        (NOW - HOUR, None),
    ]
    assert history.execute("SELECT first_at FROM heartbeat_boot").fetchall() == [(jumped,)]
    assert history.execute("SELECT cursor FROM heartbeat_relay").fetchall() == [(jumped + 59 * SECOND,)]
    keep_up(history, NOW + DAY)
    assert is_complete(history, TODAY)
    assert number(history, "SELECT sum(heartbeats) FROM heartbeat_minute") == rows(history) == 120


def test_where_nothing_lies_ahead_nothing_is_done(history: psycopg.Connection) -> None:
    heard(history, NOW, 10, every=SECOND)

    with pytest.raises(ClockNotCorrected, match="no heartbeat was stamped later"):
        correct(history, NOW + HOUR, NOW)
    with pytest.raises(ClockNotCorrected, match="is itself in the future"):
        correct(history, NOW, NOW + HOUR)

    assert rows(history) == 10
