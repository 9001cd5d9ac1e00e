"""One keeper at a time; what is kept can be seen."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection as django_connection

from config.celery import app
from heartbeat.errors import HistoryBusy
from heartbeat.history import figures
from heartbeat.history.keeping import keep, keep_up, keeper
from heartbeat.history.partitions import DEFAULT, LOG, attached, day_name, midnight
from heartbeat.ingest.beat import legacy_beat
from heartbeat.ingest.marks import marks_of
from heartbeat.ingest.recorder import Recorder
from heartbeat.tasks import keep_history, keep_up_history
from tests.heartbeat.history.conftest import NOW, TODAY, heard, partition, rows

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def here(history: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> psycopg.Connection:
    """Django's own database is the tests' one with the log."""
    given = {**django_connection.get_connection_params(), "dbname": history.info.dbname}
    monkeypatch.setattr(django_connection, "get_connection_params", lambda: given)
    return history


def a_while_ago() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0) - 2 * HOUR


def figures_of(history: psycopg.Connection, now: datetime) -> dict[str, float]:
    samples = (sample for family in figures.collect(history, now) for sample in family.samples)
    return {sample.name.removeprefix("lekiwi_heartbeat_history_"): sample.value for sample in samples}


def test_the_figures_say_what_is_kept_and_what_is_behind(history: psycopg.Connection) -> None:
    keep_up(history, NOW)
    partition(history, TODAY - DAY)
    heard(history, NOW - DAY, 2, every=DAY)
    heard(history, NOW + 20 * DAY, 3, every=SECOND)

    before, _ = figures_of(history, NOW + HOUR), keep(history, NOW + HOUR)
    after = figures_of(history, NOW + HOUR)

    assert before == {
        "days": 2,
        "days_ahead": 7,
        "future_days": 0,
        "default_rows": 3,
        "months": 0,
        "oldest_day_timestamp_seconds": midnight(TODAY - DAY).timestamp(),
        "rollup_lag_seconds": 34 * 3600,
    }
    assert after == before | {
        "days_ahead": 8,
        "future_days": 1,
        "default_rows": 0,
        "months": 1,
        "rollup_lag_seconds": 60,
    }


def test_a_log_in_which_nothing_was_heard_has_figures_too(history: psycopg.Connection) -> None:
    assert figures_of(history, NOW) == dict.fromkeys(("days", "days_ahead", "future_days", "default_rows", "months"), 0)


def test_the_command_says_what_it_did(here: psycopg.Connection, capsys: pytest.CaptureFixture[str]) -> None:
    heard(here, a_while_ago(), 60, every=SECOND)

    call_command("keep_history")

    said = capsys.readouterr().out
    assert "moved out of the default partition: 60 heartbeats" in said
    assert "rolled up: 60 heartbeats into 1 minutes" in said
    assert "days dropped: none" in said


def test_the_tasks_keep_the_history(here: psycopg.Connection) -> None:
    heard(here, a_while_ago(), 60, every=SECOND)
    heard(here, a_while_ago(), 60, every=SECOND, spelling=3)

    keep_up_history()
    keep_history()

    assert rows(here, "heartbeat_minute") == 2
    assert rows(here, "heartbeat_heartbeat_default") == 0


async def test_ingest_finds_a_partition_for_today_and_tomorrow(
    history: psycopg.Connection, history_database: str
) -> None:
    recorder = Recorder(history_database)
    recorder.start()
    await recorder.wait_for_first_connection(20)

    today = datetime.now(UTC).date()
    assert {day_name(today), day_name(today + DAY)} <= set(attached(history, LOG))
    await recorder.close()


async def test_ingest_stores_where_no_partition_can_be_made(history: psycopg.Connection, history_database: str) -> None:
    heard(history, a_while_ago() + 2 * HOUR, 1, every=SECOND)  # in the default partition, which holds up a new one
    recorder = Recorder(history_database, commit_timeout_seconds=20)
    recorder.start()
    await recorder.wait_for_first_connection(20)

    await recorder.record(legacy_beat("XLE_1", marks_of({}), call="status", status="idle"))

    assert rows(history, DEFAULT) == 2
    await recorder.close()


def test_what_beat_schedules_is_a_task_that_the_worker_knows() -> None:
    app.loader.import_default_modules()

    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= set(app.tasks)


def test_there_is_one_keeper_at_a_time(here: psycopg.Connection) -> None:
    with keeper(), pytest.raises(HistoryBusy, match="another keeper is at work"), keeper():
        pass

    with keeper() as connection:
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)
