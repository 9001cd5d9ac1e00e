import pytest

from migration import latching, recording, rolling_back, routing
from migration.actors import Actor
from migration.errors import MissingReason, Refused
from migration.models import PhaseRun, Rollback
from tests.migration.installation import door, in_phase, installation  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("installation")]

LEAD = Actor("lead")


@pytest.mark.parametrize(
    ("slug", "percent"),
    [("canary_10", 0), ("rollout_25", 10), ("rollout_50", 25), ("full_100", 50), ("decommission", 50)],
)
def test_every_phase_rolls_back_to_where_its_budget_says(installation, slug, percent):
    in_phase(installation, slug)

    record = rolling_back.roll_back("previous", reason="motor faults", actor=LEAD)

    assert (record.state, record.to_percent, record.late) == ("observed", percent, [])
    assert installation.file.read().plan.percent == percent


def test_a_rollback_is_recorded_with_its_measured_time_and_the_phase_follows(installation):
    run = in_phase(installation, "canary_10")

    rolling_back.roll_back("previous", reason="motor faults", actor=LEAD)
    rolling_back.record_now()

    rollback = Rollback.objects.get()
    assert (rollback.reason, rollback.trigger, rollback.budget_seconds) == ("motor faults", "operator", 120.0)
    assert rollback.seconds > 0
    run.refresh_from_db()
    assert run.state == PhaseRun.State.ROLLED_BACK
    assert PhaseRun.objects.get(state="active").slug == "shadow"


def test_a_rollback_without_a_reason_is_refused_and_moves_nothing(installation):
    in_phase(installation, "canary_10")

    with pytest.raises(MissingReason, match="say why"):
        rolling_back.roll_back("previous", reason=" ", actor=LEAD)
    assert installation.file.read().plan.percent == 10


def test_a_second_click_moves_nothing_twice(installation):
    in_phase(installation, "rollout_25")
    rolling_back.roll_back("previous", reason="motor faults", actor=LEAD, leaving="rollout_25")

    with pytest.raises(Refused, match="the fleet has left Rollout 25 % already: it is in Canary 10 %"):
        rolling_back.roll_back("previous", reason="motor faults", actor=LEAD, leaving="rollout_25")
    assert installation.file.read().plan.percent == 10


def test_two_clicks_at_one_instant_are_one_rollback(installation, monkeypatch):
    in_phase(installation, "rollout_25")
    plan_back_to = routing.plan_back_to

    def overtaken(*asked):
        monkeypatch.setattr(routing, "plan_back_to", plan_back_to)
        rolling_back.roll_back("previous", reason="the other click", actor=LEAD, leaving="rollout_25")
        return plan_back_to(*asked)

    monkeypatch.setattr(routing, "plan_back_to", overtaken)

    with pytest.raises(Refused, match="the fleet has left Rollout 25 % already: it is in Canary 10 %"):
        rolling_back.roll_back("previous", reason="motor faults", actor=LEAD, leaving="rollout_25")
    recording.drain()
    assert installation.file.read().plan.percent == 10
    assert Rollback.objects.get().reason == "the other click"


def test_preparation_has_nothing_to_go_back_to(installation):
    with pytest.raises(Refused, match="Preparation has nothing to go back to"):
        rolling_back.roll_back("previous", reason="x", actor=LEAD)


def test_a_rollback_never_goes_forward(installation):
    in_phase(installation, "canary_10")

    with pytest.raises(Refused, match="going forward needs gates and votes"):
        rolling_back.roll_back("rollout_50", reason="x", actor=LEAD)


def test_an_emergency_latches_and_only_a_release_moves_traffic_again(installation):
    in_phase(installation, "rollout_50")
    rolling_back.roll_back("emergency", reason="new is sick", actor=LEAD)
    rolling_back.record_now()

    assert installation.file.latched().because == "new is sick"
    assert {answer.system for answer in installation.beats(f"robot-{n}" for n in range(20)).values()} == {"legacy"}
    with pytest.raises(Refused, match="only releasing the latch"):
        rolling_back.roll_back("previous", reason="more", actor=LEAD)

    latching.release(actor=LEAD, reason="mended")

    assert installation.file.latched() is None
    assert installation.file.read().plan.phase == "shadow"


def test_an_emergency_works_when_the_route_file_is_broken(installation):
    in_phase(installation, "rollout_50")
    installation.file.routes.write_text("{")

    record = rolling_back.roll_back("emergency", reason="nothing can be read", actor=LEAD)

    assert (record.state, record.to_percent) == ("observed", 0)


def test_a_dead_proxy_makes_a_rollback_partial_by_name_and_it_can_be_repeated(installation, settings):
    in_phase(installation, "canary_10")
    settings.PROXIES = [*settings.PROXIES, "front-b=http://127.0.0.1:1|http://127.0.0.1:1"]

    record = rolling_back.roll_back("previous", reason="motor faults", actor=LEAD)

    assert record.state == "partial"
    assert [late.partition(":")[0] for late in record.late] == ["front-b"]
    assert installation.file.read().plan.percent == 0


def test_a_disk_that_refuses_is_a_failed_rollback_that_says_so_and_can_be_tried_again(installation, monkeypatch):
    run = in_phase(installation, "canary_10")
    version = installation.file.read().version
    lock = installation.file.directory / "lock"
    lock.unlink()
    lock.mkdir()
    try:
        record = rolling_back.roll_back("previous", reason="motor faults", actor=LEAD)
    finally:
        lock.rmdir()

    assert record.state == "failed"
    assert "cannot be written" in record.late[0]
    assert installation.file.read().version == version
    recording.drain()
    run.refresh_from_db()
    assert run.state == PhaseRun.State.ACTIVE
    assert rolling_back.roll_back("previous", reason="again", actor=LEAD).state == "observed"


def test_a_release_needs_a_latch_and_a_reason(installation):
    with pytest.raises(Refused, match="nothing is latched"):
        latching.release(actor=LEAD, reason="x")
    with pytest.raises(MissingReason):
        latching.release(actor=LEAD, reason="")
