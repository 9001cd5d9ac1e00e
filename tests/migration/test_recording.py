import uuid
from pathlib import Path

import pytest

from migration import recording, spool
from migration.models import AuditEntry, PhaseRun, Rollback, TrafficShift
from tests.builders import NOW, phase_run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def spool_dir(settings, tmp_path) -> Path:
    settings.STATE_DIR = tmp_path
    settings.SPOOL_DIR = tmp_path / "spool"
    return settings.SPOOL_DIR


def rollback_record(**changes) -> dict:
    fields = {
        "from_phase": "canary_10",
        "to_phase": "shadow",
        "from_percent": 10,
        "to_percent": 0,
        "trigger": "automatic",
        "is_emergency": False,
        "reason": "new failed",
        "actor": "watchdog",
        "decided_at": NOW.isoformat(),
        "state": "observed",
        "seconds": 0.2,
        "budget_seconds": 120.0,
        "route_version": 3,
        "late": [],
    }
    return {"kind": "rollback", "uid": str(uuid.uuid4()), "rollback": {**fields, **changes}}


def test_a_spooled_rollback_reaches_the_database_with_its_phase_and_its_audit_entry(spool_dir):
    run = phase_run("canary_10", started_at=NOW)
    spool.write(spool_dir, rollback_record())

    assert recording.drain() == 1

    run.refresh_from_db()
    assert run.state == PhaseRun.State.ROLLED_BACK
    assert PhaseRun.objects.get(state="active").slug == "shadow"
    assert Rollback.objects.get().reason == "new failed"
    assert AuditEntry.objects.get().sentence == "rolled back 10 → 0 %: new failed"
    assert list(spool_dir.iterdir()) == []


def test_a_record_that_is_read_twice_is_stored_once(spool_dir):
    phase_run("canary_10", started_at=NOW)
    record = rollback_record()
    spool.write(spool_dir, record)
    recording.drain()

    spool.write(spool_dir, record)
    recording.drain()

    assert Rollback.objects.count() == AuditEntry.objects.count() == 1
    assert PhaseRun.objects.count() == 2


def test_a_shift_on_its_way_is_overtaken_by_a_rollback(spool_dir):
    phase_run("canary_10", started_at=NOW)
    shift = TrafficShift.objects.create(
        from_phase="canary_10",
        to_phase="rollout_25",
        from_percent=10,
        to_percent=25,
        requested_by="lead",
        reason="go",
        requested_at=NOW,
        deadline_at=NOW,
        based_on_version=2,
    )
    spool.write(spool_dir, rollback_record())

    recording.drain()

    shift.refresh_from_db()
    assert (shift.state, shift.failure) == ("failed", "overtaken by a rollback")


def test_a_rollback_that_failed_moves_no_phase(spool_dir):
    run = phase_run("canary_10", started_at=NOW)
    spool.write(spool_dir, rollback_record(state="failed", seconds=None, late=["disk full"]))

    recording.drain()

    run.refresh_from_db()
    assert run.state == PhaseRun.State.ACTIVE
    assert Rollback.objects.get().late == ["disk full"]


def test_an_unreadable_record_is_set_aside_and_the_next_one_is_stored(spool_dir):
    phase_run("canary_10", started_at=NOW)
    spool_dir.mkdir()
    (spool_dir / "00000000000000000001-torn.json").write_text('{"kind": ')
    spool.write(spool_dir, rollback_record())

    assert recording.drain() == 1
    assert [path.suffix for path in spool_dir.iterdir()] == [".unreadable"]
