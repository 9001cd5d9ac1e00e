from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from heartbeat.models import Lease
from migration import advancing, judging, shifting
from migration.actors import Actor
from migration.checklist import running
from migration.clock import system_clock
from migration.errors import Refused
from migration.models import Comparison, PhaseRun, Pulse, TrafficShift
from migration.rules.voting import Role
from migration.voting import cast
from tests.builders import person, sample, synced, verified_backup
from tests.migration.installation import door, in_phase, installation, supplied  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("installation")]

LEAD = Actor("lead")
FOUR = (Role.MIGRATION_LEAD, Role.BACKEND, Role.QA, Role.ON_CALL)


@pytest.fixture
def shadow(installation, settings, supplied, tmp_path) -> PhaseRun:
    """A stay in the shadow phase whose every gate but the votes passes."""
    settings.MIGRATION_TIME_SCALE = 604_800_000.0  # a week takes a millisecond
    run = in_phase(installation, "shadow")
    now = system_clock().now()
    sample(run.started_at)
    counts = {"mirror.to_new.primaries": 5_000, "mirror.to_new.copies": 5_000}
    sample(now, new_shadow=(5_000, 0), legacy_owner=(5_000, 0), **counts)
    Comparison.objects.create(at=now, rows=200, seconds=0.1)
    verified_backup(tmp_path)
    all_guards_alive(now)
    return run


def all_guards_alive(now: datetime) -> None:
    watched = now + timedelta(minutes=1)  # however long the test takes
    for name in ("watchdog", "route_agent", "worker"):
        Pulse.objects.create(name=name, at=watched, detail={"cpu_percent": 20.0, "memory_percent": 5.0})
    for name in ("watcher", "teleop_watcher", "sync"):
        Lease.objects.create(name=name, holder="a", term=1, until=watched, renewed_at=watched)
    synced(watched)


def four_go_votes() -> None:
    for role in FOUR:
        cast(person(role), "go")


def test_with_every_gate_and_four_votes_the_next_phase_is_asked_for(shadow):
    four_go_votes()

    shift = advancing.advance(actor=LEAD)

    assert (shift.to_phase, shift.state) == ("canary_10", TrafficShift.State.REQUESTED)


def test_without_votes_nothing_is_asked_for(shadow):
    with pytest.raises(Refused) as refused:
        advancing.advance(actor=LEAD)

    assert [reason.partition(":")[0] for reason in refused.value.reasons] == ["Consensus"]
    assert not TrafficShift.objects.exists()


def test_errors_of_new_close_the_gate_whatever_the_votes_say(shadow):
    four_go_votes()
    sample(system_clock().now(), new_shadow=(6_000, 60), legacy_owner=(6_000, 0))

    with pytest.raises(Refused) as refused:
        advancing.advance(actor=LEAD)

    assert any("60 errors in 6,000 requests: not below 0.1%" in reason for reason in refused.value.reasons)


def test_a_watcher_that_stopped_locks_the_way_forward(shadow):
    four_go_votes()
    Lease.objects.filter(name="watcher").update(renewed_at=system_clock().now() - timedelta(seconds=4))

    with pytest.raises(Refused, match="watcher has made no progress for 4 s"):
        advancing.advance(actor=LEAD)


def test_a_stuck_watchdog_locks_the_way_forward(shadow):
    four_go_votes()
    Pulse.objects.filter(name="watchdog").update(at=system_clock().now() - timedelta(seconds=7))

    with pytest.raises(Refused, match="watchdog has made no progress for 7 s"):
        advancing.advance(actor=LEAD)


def test_another_build_of_new_voids_the_votes(shadow, settings):
    four_go_votes()
    settings.NEW_BUILD = "the next one"

    with pytest.raises(Refused, match="0 of 4 go votes"):
        advancing.advance(actor=LEAD)


def test_rows_that_differ_close_the_gate_by_name(shadow):
    four_go_votes()
    different = [{"robot_id": "Lekiwi_AB", "field": "version", "legacy": "v1", "new": "v2"}]
    Comparison.objects.create(at=system_clock().now(), rows=200, seconds=0.1, different=different)

    with pytest.raises(Refused, match="1 of 200 rows differ: Lekiwi_AB"):
        advancing.advance(actor=LEAD)


def test_what_the_gates_said_is_kept_with_its_evidence(shadow):
    judging.keep(shadow, judging.judge(shadow, system_clock()), system_clock().now())

    performance = shadow.gate_results.get(gate="performance")
    assert performance.verdict == "pass"
    assert performance.evidence["shadow"] == {"requests": 5_000, "bad": 0}


def test_a_gate_that_changes_its_verdict_leaves_both_in_the_history(shadow):
    clock = system_clock()
    judging.keep(shadow, judging.judge(shadow, clock), clock.now())
    sample(clock.now(), new_shadow=(6_000, 60), legacy_owner=(6_000, 0))
    judging.keep(shadow, judging.judge(shadow, clock), clock.now())
    judging.keep(shadow, judging.judge(shadow, clock), clock.now())

    results = shadow.gate_results.filter(gate="performance").order_by("id")
    assert [result.verdict for result in results] == ["pass", "fail"]


def test_judgements_wait_for_somebody_who_is_casting_a_vote(shadow):
    four_go_votes()
    judged = judging.judge(shadow, system_clock())

    with CaptureQueriesContext(connection) as asked:
        judging.keep(shadow, judged, system_clock().now())

    # Votes are cast under this lock: whoever voids some takes it before anything that the audit log is told of.
    first = next(query["sql"] for query in asked if not query["sql"].startswith("SAVEPOINT"))
    assert "migration_phaserun" in first
    assert first.endswith("FOR UPDATE")


def test_in_preparation_the_checklist_finds_what_does_not_answer(installation, settings):
    run = in_phase(installation, "preparation")
    settings.LEGACY_URL = "http://127.0.0.1:1"
    running.run(["legacy"], actor=LEAD)

    checklist = next(judged for judged in judging.judge(run, system_clock()) if judged.gate == "checklist")

    assert not checklist.opens
    assert "Legacy is reachable: http://127.0.0.1:1/health" in checklist.sentence


def test_a_shift_that_nobody_takes_expires_and_says_so(shadow):
    four_go_votes()
    shift = advancing.advance(actor=LEAD)

    assert shifting.expire(shift.pk).failure == "no worker took it in time"
