"""The log's days are vacuumed once, when they are over; with a PostgreSQL that looks for work each second."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from embedded.places import runtime_directory
from embedded.postgres import Postgres
from heartbeat.history.keeping import keep_up
from heartbeat.history.partitions import day_name
from tests.databases import manage
from tests.heartbeat.history.conftest import heard, number, partition
from tests.heartbeat.running import eventually

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


@pytest.fixture
def attentive(tmp_path: Path) -> Iterator[psycopg.Connection]:
    server = Postgres(tmp_path / "data", runtime_directory(tmp_path), settings={"autovacuum_naptime": "1s"})
    server.start()
    try:
        manage(server.url, "migrate", "--skip-checks", "-v", "0")
        with psycopg.connect(server.url, autocommit=True) as connection:
            yield connection
    finally:
        server.stop()
        server.remove()


def test_autovacuum_freezes_a_day_that_is_over_and_leaves_today_alone(attentive: psycopg.Connection) -> None:
    now = datetime.now(UTC)
    today, yesterday = now.date(), now.date() - DAY
    partition(attentive, yesterday, today)
    attentive.execute(
        "INSERT INTO heartbeat_spelling (id, key, robot_key, robot_id, first_at) VALUES (1, 'a', 'a', 'a', now())"
    )
    for day in (today, yesterday):
        heard(attentive, datetime(day.year, day.month, day.day, tzinfo=UTC), 5_000, every=SECOND)

    assert keep_up(attentive, now).days_over == [yesterday]

    frozen = "SELECT (relallfrozen = relpages AND relpages > 0)::int FROM pg_class WHERE relname = %s"
    eventually(lambda: number(attentive, frozen, day_name(yesterday)) == 1)
    vacuumed = "SELECT autovacuum_count FROM pg_stat_user_tables WHERE relname = %s"
    assert (number(attentive, vacuumed, day_name(yesterday)), number(attentive, vacuumed, day_name(today))) == (1, 0)
