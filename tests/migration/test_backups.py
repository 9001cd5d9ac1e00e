"""Backups that were tried, on the real server: dumped, restored beside it, compared."""

import hashlib
import os
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from heartbeat.history import partitions
from migration import backups
from migration.actors import Actor
from migration.backups import archiving, locking, making, scheduling, verifying
from migration.backups.archive import read_back
from migration.backups.programs import BackupError, connected, conninfo
from migration.models import Alert, AuditEntry, Backup
from migration.rules.sequential import Verdict
from tests.builders import phase_run, verified_backup
from tests.migration.answering import answering

pytestmark = pytest.mark.django_db

LEAD = Actor("lead")


@pytest.fixture(autouse=True)
def _own_directory(settings, tmp_path):
    settings.STATE_DIR = tmp_path
    settings.BACKUP_DIRECTORY = tmp_path / "backups"


@pytest.fixture
def things():
    """A table with three rows that sessions beside the test's own see, and a partitioned one."""
    with connected() as connection:
        connection.execute("CREATE TABLE things (id bigserial PRIMARY KEY, name text)")
        connection.execute("INSERT INTO things (name) VALUES ('arm'), ('wheel'), ('arm')")
        connection.execute("CREATE TABLE parts (day date, thing bigint REFERENCES things) PARTITION BY RANGE (day)")
        connection.execute("CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')")
        connection.execute("INSERT INTO parts VALUES ('2026-01-05', 1), ('2026-01-06', 2)")
        yield connection
        connection.execute("DROP TABLE parts, things")
        connection.execute("DROP SCHEMA IF EXISTS brought_back CASCADE")


def test_the_next_one_may_begin_though_the_server_has_not_noticed_the_end_of_a_connection(things, monkeypatch):
    with ExitStack() as still_open:
        monkeypatch.setattr(locking, "connected", lambda: nullcontext(still_open.enter_context(connected())))
        for _ in range(2):
            with locking.only_one() as connection:
                assert not connection.closed


def test_a_backup_is_verified_only_after_it_was_restored_and_compared(things, monkeypatch):
    backup = making.back_up("by hand", actor=LEAD)

    assert (backup.state, backup.failure) == ("verified", "")
    assert backup.contents["tables"]["things"]["rows"] == 3
    assert backup.contents["sequences"]["things_id_seq"] == 3
    assert backups.latest_verified() == backup
    assert oct(backup.file.stat().st_mode)[-3:] == "600"
    assert AuditEntry.objects.get().action == "backup"
    assert _scratch_databases() == []

    _rows_that_come_while_it_is_dumped_do_not_make_it_differ(things, monkeypatch)
    _tables_can_be_brought_back_beside_those_that_are_there(things, backup)
    _a_row_that_is_not_as_it_was_is_found(things, backup)
    _a_file_that_was_touched_is_no_backup(backup)


def _rows_that_come_while_it_is_dumped_do_not_make_it_differ(things, monkeypatch):
    dumped = making.run

    def and_a_heartbeat_comes(program, arguments):
        things.execute("INSERT INTO things (name) VALUES ('late')")
        dumped(program, arguments)
        things.execute("INSERT INTO things (name) VALUES ('later')")

    with monkeypatch.context() as patch:
        patch.setattr(making, "run", and_a_heartbeat_comes)
        backup = making.back_up("while robots speak", actor=LEAD)

    assert (backup.state, backup.contents["tables"]["things"]["rows"]) == ("verified", 3)
    things.execute("DELETE FROM things WHERE id > 3")


def _tables_can_be_brought_back_beside_those_that_are_there(things, backup):
    things.execute("DELETE FROM parts")
    things.execute("UPDATE things SET name = 'wrong'")

    rows = backups.restore_tables(backup, ["parts", "things"], "brought_back")

    assert rows == {"parts_1": 2, "things": 3}
    names = things.execute("SELECT name FROM brought_back.things ORDER BY id").fetchall()
    assert [name for (name,) in names] == ["arm", "wheel", "arm"]
    assert things.execute("SELECT count(*) FROM brought_back.parts").fetchone() == (2,)
    assert things.execute("SELECT count(*) FROM things WHERE name = 'wrong'").fetchone() == (3,)
    with pytest.raises(BackupError, match="there is a schema brought_back already"):
        backups.restore_tables(backup, ["things"], "brought_back")
    with pytest.raises(BackupError, match="the backup has no table nothing"):
        backups.restore_tables(backup, ["nothing"], "elsewhere")


def _a_row_that_is_not_as_it_was_is_found(things, backup):
    saved = backup.contents["tables"]["things"]
    backup.contents["tables"]["things"] = {"rows": 3, "digest": "0"}
    backup.save()
    assert verifying.verify_again(backup, actor=LEAD).failure == (
        "restored, but not the same: things has other rows, as many as before (3)"
    )
    Backup.objects.filter(pk=backup.pk).update(state="made", failure="")
    backup.refresh_from_db()
    backup.contents["tables"]["things"] = saved
    backup.save()


def _a_file_that_was_touched_is_no_backup(backup):
    with backup.file.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"?")

    assert verifying.verify_again(backup, actor=LEAD).failure.endswith("is not what was written: its checksum differs")
    assert backups.latest_verified() != backup


def _scratch_databases():
    with connected() as connection:
        return connection.execute("SELECT datname FROM pg_database WHERE datname LIKE '%scratch%'").fetchall()


def test_a_backup_that_cannot_be_made_says_why_and_opens_an_alert(settings, tmp_path):
    settings.PG_BIN_DIRECTORY = str(tmp_path)

    backup = making.back_up("by hand", actor=LEAD)

    assert backup.failure == f"there is no pg_dump in PG_BIN_DIRECTORY ({tmp_path})"
    assert Alert.objects.get(closed_at=None).sentence.startswith(f"backup {backup.pk} of the database failed: ")
    assert backups.latest_verified() is None


def test_two_backups_are_never_made_at_once_and_one_left_half_made_is_failed():
    half = making.begin(Backup.Kind.DATABASE, "by hand", LEAD, ".dump")
    with another_holds_the_lock():
        with pytest.raises(locking.BackupIsRunning):
            making.back_up("by hand", actor=LEAD)
        assert Backup.objects.get().state == "making"

    with locking.only_one():
        half.refresh_from_db()
        assert half.failure == "whoever made it disappeared before it was done"


@contextmanager
def another_holds_the_lock():
    with psycopg.connect(conninfo(), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [locking._LOCK])
        yield


def test_a_restore_ends_the_backup_that_stands_in_its_way():
    with connected() as dumping:
        dumping.execute("BEGIN; SELECT count(*) FROM heartbeat_robot")

        assert backups.give_way() == 1

        with pytest.raises(psycopg.OperationalError):
            dumping.execute("SELECT 1")


def backup(begun_at, directory, state="verified"):
    return verified_backup(directory, begun_at, state=state, failure="broken" if state == "failed" else "")


def test_a_backup_is_due_before_a_phase_is_left_and_every_few_hours(settings, tmp_path):
    settings.BACKUP_EVERY_HOURS = 6
    now = datetime.now(UTC)

    assert scheduling.due(now) == "every 6 h"
    run = phase_run("canary_10", started_at=now - timedelta(hours=1))
    assert scheduling.due(now) == "before leaving Canary 10 %"
    backup(now - timedelta(hours=2), tmp_path)
    assert scheduling.due(now) == "before leaving Canary 10 %"
    backup(run.started_at + timedelta(minutes=1), tmp_path, "failed")
    assert scheduling.due(now) == "before leaving Canary 10 %"
    backup(run.started_at + timedelta(minutes=2), tmp_path)
    assert scheduling.due(now) == ""
    assert scheduling.due(now + timedelta(hours=5.5)) == "every 6 h"
    backup(now, tmp_path, "failed")
    assert scheduling.due(now + timedelta(minutes=1)) == "", "one that failed just now is not tried again at once"


def test_a_phase_is_left_only_with_a_verified_backup_of_it(tmp_path):
    now = datetime.now(UTC)
    run = phase_run("canary_10", started_at=now - timedelta(days=3))
    backup(now - timedelta(days=4), tmp_path)

    assert backups.before_leaving(run, now).verdict is Verdict.INCONCLUSIVE
    backup(now - timedelta(days=2), tmp_path)
    assert backups.before_leaving(run, now).sentence.endswith("is older than 24 h")
    backup(now - timedelta(hours=2), tmp_path)
    assert backups.before_leaving(run, now).verdict is Verdict.PASS
    backups.latest_verified().file.unlink()
    assert backups.before_leaving(run, now).verdict is Verdict.INCONCLUSIVE, "a file that is gone is no backup"


def test_in_the_last_phase_legacy_is_archived():
    now = datetime.now(UTC)
    assert scheduling.archive_due(now) == ""

    phase_run("decommission", started_at=now)

    assert scheduling.archive_due(now) == "before legacy is switched off in Decommission"


HEALTH = {"status": "healthy", "robots": 2, "deployments": 1}
PACKAGE = b"a package"
DEPLOYMENT = {"id": "dep_1", "checksum": hashlib.sha256(PACKAGE).hexdigest()}
LEGACY = {
    "/health": (200, HEALTH),
    "/api/robots": (200, [{"robot_id": "Lekiwi_1"}, {"robot_id": "Lekiwi_2"}]),
    "/api/deployments": (200, [DEPLOYMENT]),
    "/api/download/dep_1": (200, PACKAGE),
}


def test_legacys_last_state_is_archived_and_read_back(settings):
    with answering(LEGACY) as settings.LEGACY_URL:
        archive = archiving.archive_legacy("before it is switched off", actor=LEAD)

    assert (archive.state, archive.failure) == ("verified", "")
    answers = read_back(archive)
    assert answers["/api/download/dep_1"] == PACKAGE
    assert archive.contents["/robots"]["status"] == 404, "what an installation does not have is archived as such"
    assert not any("check-update" in call or "teleoperation" in call for call in answers)
    assert backups.legacy_archive() == archive
    assert backups.legacy_archive(since=archive.begun_at + timedelta(seconds=1)) is None

    archive.file.write_bytes(archive.file.read_bytes()[:-20])
    assert verifying.verify_again(archive, actor=LEAD).state == "failed"
    assert backups.legacy_archive() is None


@pytest.mark.parametrize(
    ("told", "failure"),
    [
        ({"/health": (500, {})}, "legacy answered 500 to /health"),
        ({"/api/robots": (404, {})}, "legacy answered 404 to /api/robots"),
        ({"/health": (200, {**HEALTH, "robots": 3})}, "2 robots archived, legacy counted 3"),
        ({"/api/download/dep_1": (200, b"another")}, "the package of dep_1 is not the one that its checksum announces"),
    ],
)
def test_an_archive_that_is_not_whole_fails_with_the_reason(settings, told, failure):
    with answering({**LEGACY, **told}) as settings.LEGACY_URL:
        archive = archiving.archive_legacy("by hand", actor=LEAD)

    assert (archive.state, archive.failure) == ("failed", failure)


def test_old_days_of_raw_heartbeats_are_left_out_by_a_setting(settings):
    with connected() as connection:
        assert making.old_days(connection, datetime.now(UTC)) == []
        settings.BACKUP_RAW_DAYS = 1
        ahead = datetime.now(UTC) + timedelta(days=400)
        known = [f"heartbeat_heartbeat_{span.start:%Y%m%d}" for span in partitions.days(connection)]
        assert making.old_days(connection, ahead) == known
