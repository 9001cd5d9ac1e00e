"""One-minute rollups: each heartbeat is in exactly one minute, exactly once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from heartbeat.history import partitions
from heartbeat.history.keeping import keep_up
from heartbeat.history.partitions import LOG, MINUTES
from heartbeat.history.rollup import is_complete, roll_up
from tests.heartbeat.history.conftest import NOW, TODAY, heard, number, partition, rows

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
A_YEAR = 365


def late(connection: psycopg.Connection, at: object, received_at: object, **measured: object) -> None:
    """A heartbeat of robot 1 that arrives after its time."""
    said = {"status": "charging", "battery_percent": 90.0, **measured}
    connection.execute(
        f"INSERT INTO {LOG} (spelling_id, received_at, at, call, role, side, address, status, battery_percent)"
        " VALUES (2, %s, %s, 'heartbeat', 'owner', 'new', '', %s, %s)",
        (received_at, at, said["status"], said["battery_percent"]),
    )


def minutes(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        "SELECT robot_key, minute, heartbeats, update_checks, late, last_status, battery_percent_count,"
        f" battery_percent_min, battery_percent_avg, battery_percent_max, rtt_ms_count, rtt_ms_avg FROM {MINUTES}"
        " ORDER BY 1, 2"
    ).fetchall()


def test_a_minute_holds_what_a_robot_did_under_any_spelling(history: psycopg.Connection) -> None:
    partition(history, TODAY)
    heard(history, NOW, 20, every=SECOND)
    heard(history, NOW + 30 * SECOND, 1, every=SECOND, spelling=2)
    history.execute(
        f"INSERT INTO {LOG} (spelling_id, received_at, call, role, side, address)"
        " VALUES (1, %s, 'check_update', 'owner', 'new', '')",
        (NOW + 40 * SECOND,),
    )

    roll_up(history, NOW + 2 * MINUTE, A_YEAR)

    mean = (2 * sum(range(50, 60)) + 50) / 21
    assert minutes(history) == [
        (b"xle_1", NOW, 21, 1, 0, "idle", 21, 50.0, pytest.approx(mean), 59.0, None, None),
    ]


def test_a_minute_is_rolled_up_once_it_is_over_and_settled(history: psycopg.Connection) -> None:
    partition(history, TODAY)
    heard(history, NOW, 60, every=SECOND)

    during = roll_up(history, NOW + 59 * SECOND, A_YEAR)
    just_after = roll_up(history, NOW + 65 * SECOND, A_YEAR)
    settled = roll_up(history, NOW + 70 * SECOND, A_YEAR)
    again = roll_up(history, NOW + 90 * SECOND, A_YEAR)

    assert [done.heartbeats for done in (during, just_after, settled, again)] == [0, 0, 60, 0]


def test_a_late_heartbeat_is_added_to_its_minute(history: psycopg.Connection) -> None:
    partition(history, TODAY)
    heard(history, NOW, 20, every=SECOND)
    roll_up(history, NOW + 10 * MINUTE, A_YEAR)

    late(history, NOW + 30 * SECOND, NOW + 20 * MINUTE)
    late(history, NOW + 10 * SECOND + SECOND / 2, NOW + 21 * MINUTE, status="fault")
    roll_up(history, NOW + HOUR, A_YEAR)

    mean = (2 * sum(range(50, 60)) + 180) / 22
    assert minutes(history) == [
        (b"xle_1", NOW, 22, 0, 2, "charging", 22, 50.0, pytest.approx(mean), 90.0, None, None),
    ]


def test_a_heartbeat_of_a_day_that_is_gone_is_added_too(history: psycopg.Connection) -> None:
    partition(history, TODAY - 40 * DAY, TODAY)
    heard(history, NOW - 40 * DAY, 1, every=SECOND)
    roll_up(history, NOW, A_YEAR)
    history.execute(f"DROP TABLE {partitions.day_name(TODAY - 40 * DAY)}")

    late(history, NOW - 40 * DAY + SECOND, NOW)
    late(history, NOW - 90 * DAY, NOW + SECOND)  # in a month that has no partition
    late(history, NOW - 400 * DAY, NOW + 2 * SECOND)  # in a month that would be dropped at once
    roll_up(history, NOW + HOUR, A_YEAR)

    assert [(minute, count) for _, minute, count, *_ in minutes(history)] == [
        (NOW - 90 * DAY, 1),
        (NOW - 40 * DAY, 2),
    ]


def test_what_a_minute_never_heard_is_taken_over_from_a_late_heartbeat(history: psycopg.Connection) -> None:
    partition(history, TODAY)
    late(history, NOW, NOW + 5 * MINUTE, battery_percent=None)
    roll_up(history, NOW + 10 * MINUTE, A_YEAR)
    late(history, NOW, NOW + 15 * MINUTE, battery_percent=70.0)

    roll_up(history, NOW + 20 * MINUTE, A_YEAR)
    late(history, NOW, NOW + 25 * MINUTE, battery_percent=None)
    roll_up(history, NOW + 30 * MINUTE, A_YEAR)

    assert minutes(history)[0][6:10] == (1, 70.0, 70.0, 70.0)


def test_a_run_that_is_cut_off_is_continued(history: psycopg.Connection) -> None:
    partition(history, TODAY)
    heard(history, partitions.midnight(TODAY), 600, every=SECOND)

    runs = [roll_up(history, NOW, A_YEAR, seconds=0.0).heartbeats for _ in range(12)]

    assert runs == [60] * 10 + [0] * 2
    assert number(history, f"SELECT sum(heartbeats) FROM {MINUTES}") == 600


def test_a_commit_that_hangs_is_waited_for(history: psycopg.Connection) -> None:
    now = datetime.now(UTC)
    partition(history, now.date(), (now + HOUR).date())
    with psycopg.connect(history.info.dsn) as hanging:
        hanging.execute(
            f"INSERT INTO {LOG} (spelling_id, received_at, call, role, side, address)"
            " VALUES (1, %s, 'heartbeat', 'owner', 'new', '')",
            (now,),
        )
        heard(history, now + SECOND, 1, every=SECOND, spelling=3)
        meanwhile = roll_up(history, now + 10 * MINUTE, A_YEAR)
        hanging.commit()

    afterwards = roll_up(history, now + 10 * MINUTE, A_YEAR)

    assert (meanwhile.heartbeats, afterwards.heartbeats) == (0, 2)


def test_what_was_stored_behind_the_reader_is_found_before_its_day_is_dropped(history: psycopg.Connection) -> None:
    partition(history, TODAY, TODAY + DAY)
    heard(history, NOW, 60, every=SECOND)
    late(history, NOW + SECOND, NOW + DAY)
    keep_up(history, NOW + 2 * DAY)
    heard(history, NOW + SECOND / 2, 30, every=SECOND, spelling=3)  # the server's clock was set back

    complete = is_complete(history, TODAY)

    assert complete
    assert number(history, f"SELECT sum(heartbeats) FROM {MINUTES}") == rows(history) == 91
    assert number(history, f"SELECT sum(late) FROM {MINUTES}") == 1


def test_two_readers_do_not_count_twice(history: psycopg.Connection) -> None:
    partition(history, TODAY)
    heard(history, NOW - HOUR, 3600, every=SECOND)

    partitions.make_months(history, [TODAY, TODAY + 31 * DAY])

    def read() -> int:
        with psycopg.connect(history.info.dsn, autocommit=True) as connection:
            return roll_up(connection, NOW + HOUR, A_YEAR).heartbeats

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]

    assert sum(reader.result() for reader in readers) == 3600
    assert number(history, f"SELECT sum(heartbeats) FROM {MINUTES}") == 3600
