"""After data corruption: rows that were really deleted and altered come back, and nothing acknowledged is lost."""

import asyncio
import json
import os
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import UUID

import asyncpg
import psycopg
import pytest
from django.db import connection

from heartbeat.ingest.beat import status_beat
from heartbeat.ingest.careful import CarefulWriter
from heartbeat.ingest.marks import Marks
from heartbeat.models import Heartbeat, LegacyRow, Robot, Spelling
from migration import guarding, restoring, routing
from migration.actors import Actor
from migration.errors import MissingReason, Refused
from migration.models import AuditEntry, Pulse, Restore, SyncRun
from migration.restoring import archive, checking
from migration.restoring.archive import NoBase
from migration.rules.phases import phase_of
from migration.rules.plans import RoutePlan
from tests.builders import phase_run
from tests.conftest import WAL_ARCHIVE
from tests.databases import migrated

pytestmark = pytest.mark.usefixtures("fresh_database")

LEAD = Actor("lead")
ROBOTS = [f"lekiwi-{number}" for number in range(5)]


def heard(seed: int, statuses: dict[str, str], side: str = "new") -> None:
    """Heartbeats as the ingest commits them, one of each robot."""

    async def write() -> None:
        given = connection.get_connection_params()
        database = await asyncpg.connect(host=given["host"], user=given.get("user"), database=given["dbname"])
        beats = []
        for number, (robot_id, status) in enumerate(statuses.items()):
            said = {"robot_id": robot_id, "deployment_id": None, "version": "v1", "status": status, "message": None}
            marks = Marks("owner", side, str(UUID(int=seed * 1000 + number)).encode(), "10.0.0.1")
            beat = status_beat(said, None, marks, 100)
            beat.received_at = beat.at = datetime.now(UTC) + timedelta(microseconds=number)
            beats.append(beat)
        await CarefulWriter(database).write(beats)
        await database.close()

    asyncio.run(write())


def statuses() -> dict[str, str]:
    return dict(Robot.objects.order_by("robot_id").values_list("robot_id", "status"))


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def fresh_database(django_db_blocker) -> Iterator[None]:
    """A database of this test's own: what is restored must have been committed, and the audit log cannot be emptied."""
    tests_own = connection.settings_dict["NAME"]
    with django_db_blocker.unblock(), psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as admin:
        connection.close()
        admin.execute(f'CREATE DATABASE restoring TEMPLATE "{migrated(os.environ["DATABASE_URL"])}"')
        connection.settings_dict["NAME"] = "restoring"
        yield
        connection.close()
        connection.settings_dict["NAME"] = tests_own
        admin.execute("DROP DATABASE restoring WITH (FORCE)")


@pytest.fixture
def latched(settings, tmp_path: Path) -> None:
    """A route file as a rollback for data corruption leaves it: everything on legacy, v2 refused."""
    settings.STATE_DIR = tmp_path
    settings.ENVOY_STATE_DIR = tmp_path / "envoy"
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.BASE_BACKUP_DIR = tmp_path / "bases"
    routing.route_file().latch(RoutePlan.emergency(), because="a test", by="test")
    phase_run("shadow")


@pytest.fixture
def legacy(settings, free_port: int):
    """A legacy that answers with the rows it yields, in place of `new` as well, so that a comparison has two sides."""
    rows: list[dict[str, object]] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(rows if self.path == "/api/robots" else []).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", free_port), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.LEGACY_URL = f"http://127.0.0.1:{free_port}"
    settings.OWN_DOOR_PORT = free_port
    yield rows
    server.shutdown()
    server.server_close()


def test_a_deleted_and_an_altered_robot_are_noticed_and_rebuilt_from_the_heartbeats(latched, legacy):
    heard(1, dict.fromkeys(ROBOTS, "idle"))
    heard(2, dict.fromkeys(ROBOTS, "driving"))
    assert restoring.check_state() == ""

    Robot.objects.filter(robot_id="lekiwi-1").delete()
    Robot.objects.filter(robot_id="lekiwi-2").update(status="melted")
    LegacyRow.objects.all().delete()
    found = restoring.check_state()
    restore = restoring.run(restoring.ask(actor=LEAD, reason="rows are wrong").pk)

    assert "2 robots" in found
    assert "lekiwi-1 is missing" in found
    assert Pulse.objects.get(name="state_check").detail == {"corruption": ""}
    assert (restore.state, restore.failure) == ("validated", "")
    assert statuses() == dict.fromkeys(ROBOTS, "driving")
    assert LegacyRow.objects.count() == len(ROBOTS)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT status FROM {restore.set_aside}.heartbeat_robot WHERE robot_id = 'lekiwi-2'")
        assert cursor.fetchone() == ("melted",)
    assert [entry.action for entry in AuditEntry.objects.order_by("sequence")] == [
        "restore_requested",
        "sync.run",
        "restore_ended",
    ]


def test_a_restore_takes_over_from_legacy_what_the_log_does_not_tell(latched, legacy):
    heard(1, {"lekiwi-0": "idle"})
    seen = (datetime.now() - timedelta(seconds=5)).isoformat()
    said = {"robot_id": "lekiwi-9", "deployment_id": None, "version": "v1", "status": "success", "message": None}
    legacy.append({**said, "health": None, "last_seen": seen})
    begun_before = SyncRun.objects.create(asked_by="x", started_at=datetime.now(UTC), progress_at=datetime.now(UTC))
    begun_before.advance(rows=1, cursor=b"lekiwi-9", done=1, taken_over=1, quarantined=0, at=begun_before.started_at)
    begun_before.save()

    restore = restoring.run(restoring.ask(actor=LEAD, reason="rows are wrong").pk)

    assert (restore.state, restore.failure) == ("validated", "")
    assert statuses() == {"lekiwi-0": "idle", "lekiwi-9": "success"}
    begun_before.refresh_from_db()
    assert begun_before.state == "done"


def test_only_a_base_backup_that_was_tried_is_restored_from(settings, tmp_path):
    settings.WAL_ARCHIVE_DIR, settings.BASE_BACKUP_DIR = str(tmp_path / "wal"), tmp_path / "bases"
    until = datetime.now(UTC)
    tried = archive.Base("tried", (until - timedelta(hours=2)).isoformat(), 1.0, {})
    gone = archive.Base("gone", (until - timedelta(hours=1)).isoformat(), 1.0, {})
    for name in ("tried", "never-tried"):
        (tmp_path / "bases" / name).mkdir(parents=True)
    for base in (tried, gone):
        archive.call_verified(base)

    assert archive.bases() == [tried]
    assert archive.base_for(until) == tried
    with pytest.raises(NoBase):
        archive.base_for(tried.at)


@pytest.fixture
def wal(settings, tmp_path: Path):
    """An archive that the test server ships its WAL to."""
    WAL_ARCHIVE.mkdir()
    WAL_ARCHIVE.chmod(0o777)
    settings.WAL_ARCHIVE_DIR = str(WAL_ARCHIVE)
    yield
    shutil.rmtree(WAL_ARCHIVE)


@pytest.mark.alone  # a base backup, an archive and a second server
def test_raw_heartbeats_that_were_deleted_and_altered_come_back_from_the_archive_and_none_since_is_lost(
    latched, legacy, wal
):
    heard(1, dict.fromkeys(ROBOTS, "idle"))
    Robot.objects.filter(robot_id="lekiwi-3").update(tags=["kept"])
    base = archive.make_base()
    heard(2, dict.fromkeys(ROBOTS, "driving"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        until = cursor.fetchone()[0]

    # What was committed before it is in the archive, what went wrong after it is not replayed.
    execute("DELETE FROM heartbeat_heartbeat WHERE status = 'idle'")
    execute("UPDATE heartbeat_heartbeat SET status = 'melted'")
    Robot.objects.all().delete()
    heard(3, {"lekiwi-0": "since", "new-here": "since"})
    restore = restoring.run(restoring.ask(actor=LEAD, reason="somebody deleted rows", until=until).pk)

    assert base.rows["heartbeat_heartbeat"] == len(ROBOTS)
    assert (restore.state, restore.failure) == ("validated", "")
    assert Heartbeat.objects.filter(status="idle").count() == len(ROBOTS)
    assert Heartbeat.objects.filter(status="driving").count() == len(ROBOTS)
    assert not Heartbeat.objects.filter(status="melted").exists()
    assert Heartbeat.objects.filter(status="since").count() == 2
    assert statuses() == dict.fromkeys(ROBOTS, "driving") | {"lekiwi-0": "since", "new-here": "since"}
    assert Robot.objects.get(robot_id="lekiwi-3").tags == ["kept"]
    heard(4, {"newest": "idle"})  # the registers count on from where they were
    assert Spelling.objects.count() == len(ROBOTS) + 2


def test_a_restore_waits_until_legacy_answers_everything(latched):
    routing.route_file().release(by="test", because="a test")
    routing.route_file().write(routing.plan_for(phase_of("canary_10"), {}), because="a test", by="test")

    with pytest.raises(Refused, match="roll back with data_corruption first"):
        restoring.ask(actor=LEAD, reason="rows are wrong")
    assert not Restore.objects.exists()


def test_a_restore_says_why_and_reaches_only_as_far_back_as_the_archive(latched, settings):
    settings.WAL_ARCHIVE_DIR = ""

    with pytest.raises(MissingReason):
        restoring.ask(actor=LEAD, reason=" ")
    with pytest.raises(Refused, match="no WAL is archived here"):
        restoring.ask(actor=LEAD, reason="x", until=datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(Refused, match="lies in the future"):
        restoring.ask(actor=LEAD, reason="x", until=datetime.now(UTC) + timedelta(hours=1))


def test_a_restore_that_cannot_be_compared_with_legacy_is_no_success(latched, settings):
    settings.LEGACY_URL = "http://127.0.0.1:1"
    heard(1, dict.fromkeys(ROBOTS, "idle"))

    restore = restoring.run(restoring.ask(actor=LEAD, reason="rows are wrong").pk)

    assert restore.state == "failed"
    assert "legacy could not be synced" in restore.failure
    assert "legacy could not be compared" in restore.failure
    assert restoring.ask(actor=LEAD, reason="again").state == "requested"


def test_a_minute_with_fewer_calls_than_were_counted_is_told(latched):
    heard(1, dict.fromkeys(ROBOTS, "idle"))
    minute = datetime.now(UTC).replace(second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT heartbeat_make_minute_partition(%s)", [minute.date()])
        cursor.execute(
            "INSERT INTO heartbeat_minute (minute, robot_key, heartbeats, update_checks, late)"
            " VALUES (%s, 'a', 7, 0, 0)",
            [minute],
        )

    lost = checking.lost_minutes(minute - timedelta(hours=1), minute + timedelta(minutes=1))

    assert lost == [(minute, 7, len(ROBOTS))]


def test_what_the_check_found_is_what_the_automation_may_act_on():
    assert guarding.in_force().mode_of("data_corruption") == "roll_back"
