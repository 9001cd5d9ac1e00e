"""What was kept long enough goes, by the day or a few rows at a time, and nobody waits for it."""

import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from teleop import keeping

#: noon: a test at midnight would count another day
NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
DAY = timedelta(days=1)


@pytest.fixture
def kept(db: None) -> psycopg.Connection:
    """Django's own connection: what a test does to partitions is rolled back with its rows."""
    connection.ensure_connection()
    assert connection.connection is not None
    return connection.connection


def signal(connection: psycopg.Connection, at: datetime) -> None:
    connection.execute(
        "INSERT INTO teleop_signal (robot_key, robot_id, received_at, boot_id, document)"
        " VALUES ('a', 'a', %s, '', '{}')",
        [at],
    )


def session(connection: psycopg.Connection, ended: datetime | None, began: datetime) -> uuid.UUID:
    number = uuid.uuid4()
    state = "active" if ended is None else "ended"
    connection.execute(
        "INSERT INTO teleop_session (id, robot_key, robot_id, kind, site, state, driver, operators, contested, basis,"
        " confidence, began_at, began_known_at, ended_at, ended_known_at, ending, losses, samples)"
        " VALUES (%s, %s, 'a', '', '', %s, 'human', '{}', false, 'signals', 1, %s, %s, %s, %s, %s, 0, 0)",
        [number, number.bytes, state, began, began, ended, ended, "operator_left" if ended else ""],
    )
    connection.execute(
        "INSERT INTO teleop_sessionevent (robot_key, session_id, step, at, known_at, state, because, evidence,"
        " confidence, driver, operator) VALUES (%s, %s, 'began', %s, %s, 'active', '', '[]', 1, '', '')",
        [number.bytes, number, began, began],
    )
    connection.execute(
        "INSERT INTO teleop_participation (session_id, operator, from_at) VALUES (%s, 'ada', %s)", [number, began]
    )
    return number


def days(connection: psycopg.Connection) -> set[int]:
    """Days ago of the signals that are still there."""
    rows = connection.execute("SELECT received_at FROM teleop_signal").fetchall()
    return {(NOW - at).days for (at,) in rows}


def test_signals_go_by_the_day_when_they_are_older_than_the_setting(kept: psycopg.Connection, settings) -> None:
    settings.TELEOP_SIGNAL_DAYS = 2
    for ago in range(5):
        kept.execute("SELECT teleop_make_partition('teleop_signal', 'received_at', %s::date)", [NOW - ago * DAY])
        signal(kept, NOW - ago * DAY)

    done = keeping.keep(kept, NOW)

    assert days(kept) == {0, 1, 2}
    assert len(done.days_dropped) == 2
    assert not done.stayed
    assert not kept.execute("SELECT FROM pg_class WHERE relname LIKE 'teleop_signal_gone_%'").fetchall()
    assert keeping.keep(kept, NOW).days_dropped == []


def test_a_signal_that_came_before_its_day_was_made_is_moved_into_it(kept: psycopg.Connection) -> None:
    kept.execute(f"DROP TABLE teleop_signal_{NOW:%Y%m%d}")
    signal(kept, NOW)
    assert kept.execute("SELECT count(*) FROM teleop_signal_default").fetchone() == (1,)

    assert keeping.keep(kept, NOW).days_made == 1

    assert kept.execute("SELECT count(*) FROM teleop_signal_default").fetchone() == (0,)
    assert kept.execute(f"SELECT robot_id FROM teleop_signal_{NOW:%Y%m%d}").fetchall() == [("a",)]


def test_sessions_go_with_their_steps_and_operators_and_open_ones_stay(kept: psycopg.Connection, settings) -> None:
    settings.TELEOP_SESSION_DAYS = 365
    limit = NOW - 365 * DAY
    session(kept, limit - DAY, limit - DAY)
    across = session(kept, limit + DAY, limit - DAY)
    still_open = session(kept, None, limit - DAY)

    assert keeping.keep(kept, NOW).sessions_dropped == 1

    for table, column in (("session", "id"), ("sessionevent", "session_id"), ("participation", "session_id")):
        rows = kept.execute(f"SELECT {column} FROM teleop_{table}").fetchall()
        assert {number for (number,) in rows} == {across, still_open}, table


def test_a_day_that_somebody_reads_stays_until_a_later_run(kept: psycopg.Connection, settings, monkeypatch) -> None:
    monkeypatch.setattr("heartbeat.history.partitions.PATIENCE_SECONDS", 0.1)
    settings.TELEOP_SIGNAL_DAYS = 0
    for ago in range(3):
        signal(kept, NOW - ago * DAY)
    with psycopg.connect(kept.info.dsn, password=kept.info.password) as reader:
        reader.execute("SELECT count(*) FROM teleop_signal")

        (stayed,) = keeping.keep(kept, NOW).stayed

    assert "somebody reads" in stayed
    assert len(keeping.keep(kept, NOW).days_dropped) == 2


def test_the_migration_goes_back_and_forth_with_what_is_kept(kept: psycopg.Connection) -> None:
    def stored() -> tuple[str, list[tuple[int, datetime]], list[float]]:
        (kind,) = kept.execute("SELECT relkind FROM pg_class WHERE relname = 'teleop_signal'").fetchone() or ("",)
        signals = kept.execute("SELECT id, received_at FROM teleop_signal ORDER BY id").fetchall()
        return kind, signals, [value for (value,) in kept.execute("SELECT fps FROM teleop_qualitysample").fetchall()]

    signal(kept, NOW)
    number = session(kept, None, NOW - DAY)
    kept.execute("INSERT INTO teleop_qualitysample (session_id, at, fps) VALUES (%s, %s, 12.5)", [number, NOW])
    kept.execute("SET CONSTRAINTS ALL IMMEDIATE")
    before = stored()

    MigrationExecutor(connection).migrate([("teleop", "0001_sessions")])
    back = stored()
    MigrationExecutor(connection).migrate([("teleop", "0003_legacy_claims")])
    signal(kept, NOW + DAY)
    kind, signals, samples = stored()

    assert (before[0], back[0], kind) == ("p", "r", "p")
    assert before[1:] == back[1:] == (signals[:1], samples)
    assert signals[1][0] > signals[0][0]
