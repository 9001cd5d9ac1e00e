"""What legacy knows and `new` did not hear."""

from datetime import UTC, datetime, timedelta

import pytest

from heartbeat.models import LegacyRow, Robot
from heartbeat.rules.identity import bucket_of, row_key_of
from heartbeat.taking_over import Told, held_rows, take_over
from migration.models import HistoryGap, QuarantinedRow, SyncedRow, SyncRun, SyncState
from migration.syncing import runs
from migration.syncing.lag import lags
from simulator.legacy.dirty import dirty_rows
from tests.migration.syncing.conftest import row

pytestmark = pytest.mark.django_db


def of_side(new: bool) -> str:
    """An id whose bucket is (not) on `new` at 10 %."""
    return next(f"Lekiwi_{n:08X}" for n in range(1000) if (bucket_of(f"Lekiwi_{n:08X}") < 1000) is new)


LEGACYS, NEWS = of_side(new=False), of_side(new=True)


def test_a_robot_that_new_never_heard_is_taken_over_with_every_field(legacy, sync):
    listed = row(LEGACYS, status="deploying", message="grüße", deployment_id="dep_1")
    legacy.hold({LEGACYS: listed})

    sync.look()

    robot = Robot.objects.get()
    assert (robot.robot_id, robot.status, robot.kind, robot.last_role) == (LEGACYS, "deploying", "lekiwi", "shadow")
    assert held_rows([row_key_of(LEGACYS)])[row_key_of(LEGACYS)].row == listed
    assert robot.last_acknowledged_as_owner_at is None
    assert HistoryGap.objects.get().robot_id == LEGACYS


def test_of_two_rows_of_one_id_the_newer_one_is_taken_over(legacy, sync):
    older, newer = (row(LEGACYS, seconds_ago=ago, status=status) for ago, status in ((30, "failed"), (10, "success")))
    legacy.hold({"one": newer, "another": older})

    sync.look()

    assert Robot.objects.get().status == SyncedRow.objects.get().said["status"] == "success"


def test_an_update_check_after_a_heartbeat_comes_along(legacy, sync):
    listed = row(LEGACYS, current_version="v1.1.0", group="xle")
    legacy.hold({LEGACYS: listed})

    sync.look()

    assert held_rows([row_key_of(LEGACYS)])[row_key_of(LEGACYS)].row == listed


def test_a_row_that_is_as_it_was_is_not_looked_at_again(legacy, sync, django_assert_max_num_queries):
    legacy.hold({f"Lekiwi_{n:08X}": row(f"Lekiwi_{n:08X}", seconds_ago=100) for n in range(50)})
    sync.look()
    reading = sync.source.rows()

    applied = sync.forward.step(reading, _plan(), batch_size=500, now=datetime.now(UTC), alive=lambda: None)

    assert (applied.counts.total(), len(applied.done), SyncedRow.objects.count()) == (0, 0, 50)


def test_a_robot_of_new_is_never_overwritten_by_legacy(legacy, sync):
    at = datetime.now(UTC) - timedelta(seconds=30)
    take_over([Told(NEWS, at, {**_said(), "status": "success"})])
    legacy.hold({NEWS: row(NEWS, seconds_ago=2, status="idle")})

    sync.look()

    assert Robot.objects.get().status == "success"
    assert SyncState.objects.get().kept >= 1


def test_what_is_older_than_what_new_heard_never_wins(legacy, sync):
    take_over([Told(LEGACYS, datetime.now(UTC), {**_said(), "status": "success"})])
    legacy.hold({LEGACYS: row(LEGACYS, seconds_ago=20, status="failed")})

    sync.look()

    assert Robot.objects.get().status == "success"


def test_a_copy_that_may_still_come_is_waited_for_and_counts_as_lag(legacy, sync):
    # by a clock that runs ahead, so that it is news for as long as this test takes
    legacy.hold({LEGACYS: row(LEGACYS, seconds_ago=-4.0)})

    runs.work(runs.request(_actor()).pk)  # the first full sync is over before
    sync.look()

    assert not Robot.objects.exists()
    state = SyncState.objects.get()
    assert state.pending_forward == 1
    assert lags().forward_seconds >= 0


def test_one_gap_grows_for_as_long_as_only_sync_tells_of_a_robot(legacy, sync):
    for seconds in (30, 20, 10):
        legacy.hold({LEGACYS: row(LEGACYS, seconds_ago=seconds)})
        sync.look()

    gap = HistoryGap.objects.get()
    assert (gap.of, gap.began_at, gap.fills) == ("new", None, 3)
    assert gap.ended_at == Robot.objects.get().last_seen_at


def test_no_bad_row_of_the_field_stops_a_sync_or_is_dropped_silently(legacy, sync):
    bad = dirty_rows(datetime.now() - timedelta(seconds=5))
    legacy.hold({**bad, LEGACYS: row(LEGACYS)})

    sync.look()

    waiting = {one.name: one.reason for one in QuarantinedRow.objects.filter(source="robots", settled_at=None)}
    held = set(LegacyRow.objects.values_list("robot_id", flat=True))
    named = {line.get("robot_id") for line in bad.values()} - {None}
    assert named <= held | set(waiting)
    assert LEGACYS in held
    assert "in the future" in waiting["Lekiwi_F0000001"]
    assert "no robot_id" in waiting["no id, version v1.0.9, group xlerobot"]
    assert {"Lekiwi_D1D1D1D1", "lekiwi_d1d1d1d1", "Röbot 7", "raspberrypi"} <= held


def test_a_bad_row_is_tried_again_and_settled_when_it_can_be_taken_over(legacy, sync):
    legacy.hold({LEGACYS: row(LEGACYS, health=7)})
    sync.look()
    assert QuarantinedRow.objects.get(source="robots").reason == "health is int, neither an object nor null"

    legacy.hold({LEGACYS: row(LEGACYS)})
    sync.look()

    assert QuarantinedRow.objects.get(source="robots").settled_at is not None
    assert Robot.objects.filter(robot_id=LEGACYS).exists()


def test_legacys_offline_mark_does_not_erase_what_the_robot_said(legacy, sync):
    legacy.hold({LEGACYS: row(LEGACYS, seconds_ago=400)})
    sync.look()
    before = Robot.objects.get().health

    legacy.hold({LEGACYS: row(LEGACYS, seconds_ago=400, health="offline")})
    sync.look()

    assert Robot.objects.get().health == before == {"services": {"teleop": "inactive"}}


def test_a_full_sync_goes_on_behind_the_last_stored_batch_after_a_kill(legacy):
    legacy.hold({f"Lekiwi_{n:08X}": row(f"Lekiwi_{n:08X}") for n in range(30)})
    run = runs.request(_actor())

    class Killed(BaseException):
        pass

    def die():
        if SyncRun.objects.get().done:
            raise Killed

    with pytest.raises(Killed):
        runs.work(run.pk, batch_size=10, alive=die)
    run.refresh_from_db()
    assert (run.state, run.done, run.eta_seconds is not None) == ("running", 10, True)

    done = runs.work(run.pk, batch_size=10)

    assert (done.state, done.done, done.rows, done.taken_over, done.resumed) == ("done", 30, 30, 30, 1)
    assert Robot.objects.count() == 30


def test_a_second_request_joins_the_full_sync_that_runs(legacy):
    assert runs.request(_actor()).pk == runs.request(_actor()).pk


def test_a_full_sync_of_a_silent_legacy_fails_and_says_why(legacy, settings):
    settings.LEGACY_URL = "http://127.0.0.1:1"

    run = runs.work(runs.request(_actor()).pk)

    assert run.state == "failed"
    assert "legacy could not be read" in run.failure


def test_a_legacy_that_is_silent_is_said_so_and_lag_grows(legacy, sync, settings):
    legacy.hold({LEGACYS: row(LEGACYS)})
    sync.look()
    sync.source._client.base_url = "http://127.0.0.1:1"

    allowed = sync.look()

    state = SyncState.objects.get()
    assert state.legacy_silent_since is not None
    assert (allowed.because, state.throttled_by) == ("legacy does not answer",) * 2
    assert lags(datetime.now(UTC) + timedelta(seconds=9)).forward_seconds > 8


def _said():
    return {"status": "idle", "version": "v1", "deployment_id": None, "message": None, "health": None}


def _actor():
    from migration.actors import Actor

    return Actor("tests")


def _plan():
    from migration import routing

    return routing.route_file().read().plan
