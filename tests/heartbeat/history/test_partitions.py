"""Partitions are there before they are needed; what found none loses nothing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from heartbeat.errors import HistoryBusy
from heartbeat.history import default_partition, partitions, retention
from heartbeat.history.keeping import keep, keep_up
from heartbeat.history.partitions import DEFAULT, HELD_BACK, LOG, attached, day_name
from tests.heartbeat.history.conftest import NOW, TODAY, heard, number, partition, rows

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def test_today_and_seven_days_ahead_are_made_once(history: psycopg.Connection) -> None:
    first, second = keep_up(history, NOW), keep_up(history, NOW + HOUR)

    assert first.days_made == [TODAY + number * DAY for number in range(8)]
    assert second.days_made == []


def test_across_midnight_each_heartbeat_is_in_its_day(history: psycopg.Connection) -> None:
    keep_up(history, datetime(2026, 11, 24, 23, 59, tzinfo=UTC))
    heard(history, datetime(2026, 11, 24, 23, 59, 50, tzinfo=UTC), 20, every=SECOND)

    kept = keep_up(history, datetime(2026, 11, 25, 0, 2, tzinfo=UTC))

    assert (rows(history, day_name(TODAY)), rows(history, day_name(TODAY + DAY)), rows(history, DEFAULT)) == (10, 10, 0)
    assert (kept.heartbeats_rolled_up, kept.minutes_rolled_up) == (20, 2)
    assert kept.days_made == [TODAY + 8 * DAY]


def test_nine_days_without_a_keeper_lose_nothing(history: psycopg.Connection) -> None:
    keep_up(history, NOW)
    later = NOW + 9 * DAY
    heard(history, later - 2 * DAY, 3 * 24, every=HOUR)
    assert rows(history, DEFAULT) > 0

    kept = keep_up(history, later + DAY)

    assert (rows(history), rows(history, DEFAULT), kept.stayed) == (72, 0, [])
    assert kept.heartbeats_rolled_up == 72
    assert number(history, "SELECT sum(heartbeats) FROM heartbeat_minute") == 72


def test_a_partition_made_from_the_default_one_is_like_the_others(history: psycopg.Connection) -> None:
    partition(history, TODAY + DAY)
    history.execute(f"ALTER TABLE {day_name(TODAY + DAY)} SET (fillfactor = 80)")
    heard(history, NOW, 10, every=SECOND)
    before = history.execute(f"SELECT * FROM {LOG} ORDER BY received_at").fetchall()

    moved = default_partition.empty(history)

    described = (
        "SELECT array_agg(defined ORDER BY defined), min(reloptions::text), (SELECT array_agg((attname, attstattarget)"
        "  ORDER BY attnum) FROM pg_attribute WHERE attrelid = min(pg_class.oid::int) AND attnum > 0) FROM pg_class"
        " JOIN pg_index i ON indrelid = pg_class.oid"
        " JOIN LATERAL (SELECT indisunique || regexp_replace(pg_get_indexdef(indexrelid), '.* USING', '')) d (defined)"
        " ON true WHERE relname = %s"
    )
    assert moved == 10
    assert history.execute(f"SELECT * FROM {LOG} ORDER BY received_at").fetchall() == before
    assert rows(history, day_name(TODAY)) == 10
    today, tomorrow = (history.execute(described, (day_name(TODAY + n * DAY),)).fetchone() for n in (0, 1))
    assert today == tomorrow
    assert number(history, "SELECT count(*) FROM pg_constraint WHERE conname = 'within_its_day'") == 0


def options(history: psycopg.Connection, day: date) -> set[str]:
    row = history.execute("SELECT reloptions FROM pg_class WHERE relname = %s", (day_name(day),)).fetchone()
    return set(row[0] or ()) if row else set()


def test_a_day_is_given_to_autovacuum_when_it_is_over(history: psycopg.Connection) -> None:
    keep_up(history, NOW)
    assert [HELD_BACK in options(history, TODAY + n * DAY) for n in range(8)] == [True] * 8

    kept = keep_up(history, NOW + 2 * DAY)

    assert kept.days_over == [TODAY, TODAY + DAY]
    assert [HELD_BACK in options(history, TODAY + n * DAY) for n in range(4)] == [False, False, True, True]
    assert keep_up(history, NOW + 2 * DAY).days_over == []


def test_moving_finds_what_arrives_meanwhile_and_holds_up_no_insert(history: psycopg.Connection) -> None:
    heard(history, NOW - 2 * HOUR, 7_200, every=SECOND, role="shadow")

    with inserting(history.info.dsn, NOW) as inserted:
        history.execute(f"UPDATE {LOG} SET role = 'failover' WHERE received_at < %s", (NOW - HOUR,))
        inserted.wait_for(20)
        moved = default_partition.empty(history)
        inserted.wait_for(20)
        keep_up(history, NOW)

    assert moved >= 7_220
    assert rows(history) == 7_200 + inserted.count
    assert rows(history, day_name(TODAY)) == rows(history)
    assert number(history, f"SELECT count(*) FROM {LOG} WHERE role = 'failover'") == 3_600


def test_a_move_that_was_cut_off_after_the_swap_is_finished(history: psycopg.Connection) -> None:
    partition(history, TODAY)
    heard(history, NOW, 10, every=SECOND, role="shadow")
    history.execute(f"CREATE TABLE {default_partition.LEAVING} (LIKE {LOG} INCLUDING ALL)")
    history.execute(f"INSERT INTO {default_partition.LEAVING} SELECT * FROM {LOG}")
    history.execute(f"DELETE FROM {LOG} WHERE received_at = %s", (NOW,))
    history.execute(f"UPDATE {default_partition.LEAVING} SET role = 'failover' WHERE received_at = %s", (NOW + SECOND,))

    default_partition.empty(history)

    assert (rows(history), partitions.exists(history, default_partition.LEAVING)) == (10, False)
    assert number(history, f"SELECT count(*) FROM {LOG} WHERE role = 'failover'") == 1


def test_a_move_that_was_cut_off_before_the_swap_is_begun_anew(history: psycopg.Connection) -> None:
    heard(history, NOW, 10, every=SECOND)
    history.execute(f"CREATE TABLE {default_partition.FILLING}20261124 (LIKE {LOG} INCLUDING ALL)")

    default_partition.empty(history)

    assert (rows(history), rows(history, day_name(TODAY))) == (10, 10)


def test_somebody_who_reads_for_long_delays_the_move_and_not_the_inserts(
    history: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "PATIENCE_SECONDS", 0.3)
    heard(history, NOW, 10, every=SECOND)

    with psycopg.connect(history.info.dsn) as reader, inserting(history.info.dsn, NOW + MINUTE) as inserted:
        reader.execute(f"SELECT count(*) FROM {LOG}")  # its transaction stays open
        with pytest.raises(HistoryBusy):
            default_partition.empty(history)
        inserted.wait_for(5)
    moved = default_partition.empty(history)

    assert moved == rows(history) == 10 + inserted.count


def test_a_clock_from_2037_loses_nothing_and_comes_back(history: psycopg.Connection) -> None:
    first, evening = partitions.midnight(TODAY) - 14 * DAY, NOW + 14 * HOUR
    wrong = datetime(2037, 1, 1, 12, 0, tzinfo=UTC)
    partition(history, *(TODAY - number * DAY for number in range(15)))
    heard(history, first, 15 * 23, every=HOUR)
    keep(history, evening)
    before = rows(history)

    heard(history, wrong, 60, every=SECOND)
    in_2037 = keep(history, wrong + 2 * MINUTE)
    heard(history, evening + 2 * HOUR, 60, every=SECOND, spelling=3)
    back = keep(history, evening + 3 * HOUR)

    assert (in_2037.rows_moved, in_2037.days_dropped, in_2037.months_dropped) == (60, [], [])
    assert back.days_dropped == [first.date()]  # midnight has passed, and it would have gone without all this
    assert rows(history) == before + 120 - 24
    assert rows(history, DEFAULT) == 0
    assert back.heartbeats_rolled_up == 60
    assert number(history, "SELECT sum(heartbeats) FROM heartbeat_minute") == before + 120


class Inserted:
    """Heartbeats stored one by one in a thread."""

    def __init__(self) -> None:
        self.count = 0
        self.longest_seconds = 0.0
        self.stopped = threading.Event()
        self._more = threading.Condition()

    def run(self, dsn: str, at: datetime) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not self.stopped.is_set():
                connection.execute(
                    f"INSERT INTO {LOG} (spelling_id, received_at, call, role, side, address, status)"
                    " VALUES (3, %s, 'heartbeat', 'owner', 'new', '', 'idle')",
                    (at + self.count * timedelta(milliseconds=1),),
                )
                with self._more:
                    self.count += 1
                    self._more.notify_all()

    def wait_for(self, more: int) -> None:
        """Return when `more` have been stored from now on."""
        wanted = self.count + more
        with self._more:
            assert self._more.wait_for(lambda: self.count >= wanted, timeout=20)


@contextmanager
def inserting(dsn: str, at: datetime) -> Iterator[Inserted]:
    """Store heartbeats as fast as it goes while the block runs."""
    inserted = Inserted()
    thread = threading.Thread(target=inserted.run, args=(dsn, at))
    thread.start()
    try:
        yield inserted
    finally:
        inserted.stopped.set()
        thread.join(timeout=20)
    assert not thread.is_alive()


def test_a_month_of_data_is_kept_for_a_fortnight_while_inserts_go_on(history: psycopg.Connection) -> None:
    first = TODAY - 30 * DAY
    partition(history, *(first + number * DAY for number in range(31)))
    heard(history, partitions.midnight(first), 30 * 24 * 2, every=30 * MINUTE)
    heard(history, partitions.midnight(first), 30 * 24, every=HOUR, spelling=3)

    with inserting(history.info.dsn, NOW - HOUR) as inserted:
        kept = keep(history, NOW)
        inserted.wait_for(20)
        again = keep(history, NOW)

    left = [span.start for span in partitions.days(history) if span.start <= TODAY]
    assert kept.days_dropped == [date(2026, 10, 25) + number * DAY for number in range(16)]
    assert left == [TODAY - number * DAY for number in range(14, -1, -1)]
    assert (again.days_dropped, again.stayed) == ([], [])
    assert rows(history) == 14 * (24 * 2 + 24) + inserted.count
    rolled_up = "SELECT sum(heartbeats) FROM heartbeat_minute WHERE minute < %s"
    assert number(history, rolled_up, partitions.midnight(TODAY)) == 30 * (24 * 2 + 24)


def test_a_day_that_is_not_rolled_up_is_not_dropped(
    history: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition(history, *(TODAY - number * DAY for number in range(17)))
    heard(history, NOW - 16 * DAY, 17 * 24, every=HOUR)

    dropped, stayed = retention.drop_days(history, NOW, 14)

    assert dropped == []
    assert stayed[0].startswith("2026-11-08 stays: not all of its heartbeats are in the rollups")
    assert keep(history, NOW).days_dropped == [TODAY - 16 * DAY, TODAY - 15 * DAY]


def test_a_day_that_was_detached_and_not_dropped_is_dropped(history: psycopg.Connection) -> None:
    history.execute(f"CREATE TABLE {LOG}{retention.GONE}20261101 (LIKE {LOG})")

    keep(history, NOW)

    assert partitions.tables_like(history, f"{LOG}{retention.GONE}") == []


def test_rollups_go_by_the_month(history: psycopg.Connection) -> None:
    months = [date(2025 + number // 12, number % 12 + 1, 1) for number in range(23)]
    partitions.make_months(history, months)
    history.cursor().executemany(
        "INSERT INTO heartbeat_minute (robot_key, minute, heartbeats, update_checks, late)"
        " VALUES ('xle_1', %s, 1, 0, 0)",
        [(partitions.midnight(month),) for month in months],
    )

    kept = keep(history, NOW)

    assert kept.months_dropped == months[:10]
    assert len(attached(history, "heartbeat_minute")) == 14  # November 2025 to December 2026
