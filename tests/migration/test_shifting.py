import pytest

from migration import shifting
from migration.actors import Actor
from migration.errors import MissingReason, Refused
from migration.models import AuditEntry, PhaseRun, TrafficShift
from migration.rules.phases import phase_of
from migration.rules.plans import RoutePlan
from tests.migration.installation import door, in_phase, installation  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("installation")]

LEAD = Actor("lead")


def ask(slug: str) -> TrafficShift:
    return shifting.request(phase_of(slug), actor=LEAD, reason="all gates pass")


def test_a_shift_is_acknowledged_observed_and_opens_its_phase(installation):
    shadow = in_phase(installation, "shadow")

    shift = shifting.apply(ask("canary_10").pk)

    assert shift.state == TrafficShift.State.OBSERVED, shift.failure
    assert 0 < shift.acknowledged_seconds <= shift.observed_seconds
    assert list(shift.acknowledgements) == ["front-a"]
    shadow.refresh_from_db()
    assert shadow.state == PhaseRun.State.COMPLETED
    assert PhaseRun.objects.get(state="active").slug == "canary_10"
    assert installation.beat("Lekiwi_B827EB5A").status == 200


def test_every_step_of_a_shift_is_in_the_audit_log(installation):
    in_phase(installation, "shadow")

    shifting.apply(ask("canary_10").pk)

    assert [entry.action for entry in AuditEntry.objects.order_by("sequence")] == ["shift_requested", "shift_observed"]


def test_a_second_shift_waits_for_the_first(installation):
    in_phase(installation, "shadow")
    ask("canary_10")

    with pytest.raises(Refused, match="another shift is on its way"):
        ask("canary_10")


def test_a_shift_decided_on_an_older_route_fails_and_moves_nothing(installation):
    run = in_phase(installation, "shadow")
    shift = ask("canary_10")
    in_force = installation.route(RoutePlan.shadowing())

    shift = shifting.apply(shift.pk)

    assert shift.state == TrafficShift.State.FAILED
    assert f"but route {in_force.version} is in force now" in shift.failure
    run.refresh_from_db()
    assert run.state == PhaseRun.State.ACTIVE
    assert installation.file.read().plan.percent == 0


def test_an_unconfirmed_shift_is_failed_and_its_route_taken_back(installation):
    run = in_phase(installation, "shadow")
    shift = ask("canary_10")
    installation.envoy.stop()
    try:
        shift = shifting.apply(shift.pk)
    finally:
        installation.envoy.start()

    assert shift.state == TrafficShift.State.FAILED
    assert shift.failure.startswith("front-a: ")
    assert installation.file.read().plan.phase == "shadow"
    run.refresh_from_db()
    assert run.state == PhaseRun.State.ACTIVE


def test_a_waiting_shift_says_what_it_waits_for_and_can_be_cancelled(installation):
    in_phase(installation, "shadow")
    shift = ask("canary_10")
    assert shift.waits_for == "a worker to take it"

    cancelled = shifting.cancel(shift.pk, actor=LEAD, reason="not today")

    assert cancelled.state == TrafficShift.State.CANCELLED
    assert shifting.apply(shift.pk).state == TrafficShift.State.CANCELLED
    assert installation.file.read().plan.phase == "shadow"


def test_an_observed_shift_cannot_be_cancelled(installation):
    in_phase(installation, "shadow")
    shift = shifting.apply(ask("canary_10").pk)

    with pytest.raises(Refused, match="is observed, not requested"):
        shifting.cancel(shift.pk, actor=LEAD, reason="too late")


def test_cancelling_needs_a_reason(installation):
    in_phase(installation, "shadow")

    with pytest.raises(MissingReason):
        shifting.cancel(ask("canary_10").pk, actor=LEAD, reason="  ")


def test_a_shift_whose_worker_died_after_the_write_is_finished_by_the_agent(installation):
    in_phase(installation, "shadow")
    shift = ask("canary_10")
    shift.apply(shift.requested_at)
    shift.save()
    installation.route(RoutePlan.split(10, phase="canary_10"))

    assert shifting.resume(shift).state == TrafficShift.State.OBSERVED


def test_a_shift_whose_worker_died_before_the_write_is_failed_by_the_agent(installation):
    in_phase(installation, "shadow")
    shift = ask("canary_10")
    shift.apply(shift.requested_at)
    shift.save()

    failed = shifting.resume(shift)

    assert (failed.state, failed.failure) == (
        "failed",
        "the worker that applied it disappeared before it wrote the route",
    )


def test_while_latched_no_shift_is_even_asked(installation):
    in_phase(installation, "canary_10")
    installation.file.latch(RoutePlan.emergency(), because="new is sick", by="watchdog")

    with pytest.raises(Refused, match="latched by watchdog: new is sick"):
        ask("rollout_25")
