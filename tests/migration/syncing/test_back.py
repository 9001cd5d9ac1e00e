"""What `new` knows and legacy missed."""

from datetime import UTC, datetime, timedelta

import pytest

from heartbeat.models import Robot
from heartbeat.rules.identity import row_key_of
from heartbeat.taking_over import Told, held_rows, take_over
from migration import routing
from migration.models import AuditEntry, HistoryGap, Replayed, SyncState
from migration.syncing.back import MOST_READ_ALONE
from migration.syncing.lag import lags
from migration.syncing.way_back import way_back
from tests.migration.syncing.conftest import row, settle
from tests.migration.syncing.test_forward import LEGACYS, NEWS

pytestmark = pytest.mark.django_db


def heard_by_new(robot_id: str, seconds_ago: float = 3.0, **fields: object) -> datetime:
    """As if the robot had spoken to `new` alone."""
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    said = {"status": "idle", "version": "v1.2.0", "deployment_id": None, "message": None, "health": None}
    take_over([Told(robot_id, at, {**said, **fields})])
    return at


def test_a_lost_copy_is_told_to_legacy_in_its_own_words_and_noted_as_a_gap(legacy, sync):
    heard_by_new(NEWS, status="success", message="done", health={"services": {"teleop": "active"}})
    legacy.hold({NEWS: row(NEWS, seconds_ago=20)})

    sync.look()

    told = legacy.rows()[NEWS]
    assert (told["status"], told["message"], told["health"]) == ("success", "done", {"services": {"teleop": "active"}})
    gap = HistoryGap.objects.get(of="legacy")
    assert (gap.robot_id, round((gap.ended_at - gap.began_at).total_seconds())) == (NEWS, 17)
    assert SyncState.objects.get().replayed == 1


def test_what_was_told_is_not_news_when_it_is_read_back(legacy, sync):
    at = heard_by_new(LEGACYS, status="success")
    sync.look()
    assert legacy.rows()[LEGACYS]["status"] == "success"

    sync.look()

    assert Robot.objects.get().last_seen_at == at
    state = SyncState.objects.get()
    assert (state.replayed, state.taken_over, state.echoes) == (1, 0, 1)


def test_legacys_offline_mark_on_what_it_was_told_is_no_news_either(legacy, sync):
    at = heard_by_new(LEGACYS, status="success", health={"services": {}})
    sync.look()
    told = legacy.rows()[LEGACYS]

    legacy.hold({LEGACYS: told | {"health": "offline"}})
    sync.look()

    assert Robot.objects.get().last_seen_at == at
    assert SyncState.objects.get().taken_over == 0


def test_a_silent_robot_is_not_made_to_look_alive_and_is_listed(legacy, sync, settings):
    settings.ROBOT_INTERVAL_SECONDS = 1.0
    heard_by_new("Lekiwi_5117E000", seconds_ago=60)
    heard_by_new("Lekiwi_A11FE000", seconds_ago=2)

    sync.look()

    assert set(legacy.rows()) == {"Lekiwi_A11FE000"}
    assert SyncState.objects.get().absent == ["Lekiwi_5117E000"]


def test_a_restart_of_legacy_is_noticed_and_its_memory_comes_back(legacy, sync):
    legacy.hold({f"Lekiwi_{n:08X}": row(f"Lekiwi_{n:08X}") for n in range(20)})
    sync.look()
    before = legacy.rows()

    legacy.hold({})
    settle(sync, lambda: len(legacy.rows()) == 20)

    after = legacy.rows()
    for robot_id, listed in before.items():
        assert {**after[robot_id], "last_seen": ""} == {**listed, "last_seen": ""}
    state = SyncState.objects.get()
    assert (state.lost_memory_rows, state.pending_back) == (20, 0)
    assert "legacy lost 20 rows" in AuditEntry.objects.get(action="sync.lost_memory").sentence


def test_what_is_owed_is_told_at_the_configured_rate_oldest_first(legacy, sync):
    for n in range(20):
        heard_by_new(f"Lekiwi_{n:08X}", seconds_ago=10 + n)

    sync.look({"calls_per_second": 20.0})

    assert set(legacy.rows()) == {f"Lekiwi_{n:08X}" for n in range(12, 20)}
    assert SyncState.objects.get().pending_back == 12
    assert lags().reverse_seconds > 19
    assert "legacy is" in way_back().cause
    assert "12 rows to tell it" in way_back().cause


def test_an_update_check_that_legacy_missed_is_told_as_well(legacy, sync):
    at = datetime.now(UTC) - timedelta(seconds=3)
    said = {"status": "idle", "version": "v1", "deployment_id": None, "message": None, "health": None}
    take_over([Told(NEWS, at, said, {"current_version": "v1", "group": "xle"})])

    sync.look()

    assert (legacy.rows()[NEWS]["current_version"], legacy.rows()[NEWS]["group"]) == ("v1", "xle")


@pytest.mark.parametrize("robot_id", [NEWS, LEGACYS], ids=["owned by new", "owned by legacy"])
def test_what_new_hears_after_a_replay_is_told_again(legacy, sync, robot_id):
    heard_by_new(robot_id, seconds_ago=8)
    sync.look()
    heard_by_new(robot_id, seconds_ago=3, status="success")

    sync.look()

    assert legacy.rows()[robot_id]["status"] == "success"
    assert held_rows([row_key_of(robot_id)])[row_key_of(robot_id)].row["status"] == "success"
    assert Replayed.objects.get().body["status"] == "success"


@pytest.mark.parametrize("others", [0, 2 * MOST_READ_ALONE], ids=["few", "many"])
def test_what_legacy_heard_since_it_was_read_is_not_overwritten(legacy, sync, others):
    for n in range(others):
        heard_by_new(f"Lekiwi_{n:08X}")
    heard_by_new("Lekiwi_0000FFFF", status="success")
    reading = sync.source.rows()
    legacy.beat("Lekiwi_0000FFFF", status="updating")

    plan, now = routing.route_file().read().plan, datetime.now(UTC)
    owed = sync.back.step(reading, sync.source, plan, calls_per_second=500, now=now, alive=lambda: None)

    assert legacy.rows()["Lekiwi_0000FFFF"]["status"] == "updating"
    assert owed.replayed == others


def test_the_way_back_is_whole_only_while_sync_looks_and_legacy_answers(legacy, sync):
    assert way_back().cause == "sync has not looked at legacy yet"
    sync.look()
    assert way_back().whole
    assert not way_back(datetime.now(UTC) + timedelta(seconds=9)).whole

    sync.source._client.base_url = "http://127.0.0.1:1"
    sync.look()

    assert way_back(datetime.now(UTC) + timedelta(seconds=7)).cause == "legacy has not answered sync for 7 s"
