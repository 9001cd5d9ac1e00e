"""What operators allow the automation, from the page's use cases to the file that the watchdog reads."""

import os
import signal
import subprocess
import sys

import pytest
from rest_framework.test import APIClient

from migration import advancing, agent, guarding, latching, rehearsing, restoring, rolling_back
from migration.actors import Actor
from migration.drivers import watch_file
from migration.drivers.file_lease import FileLease
from migration.errors import MissingReason, Refused
from migration.models import Alert, AuditEntry, PhaseRun, Rehearsal, Rollback, TrafficShift, WatchFinding
from migration.rules.detecting import Detector, Suspicion
from migration.rules.split import Side
from migration.rules.voting import Role
from migration.rules.watching import Action, Decision, Finding, Guarding, Mode
from migration.sampling import Recorder
from migration.watchdog import Look
from tests.builders import NOW, heard_robot, person
from tests.migration.door import wait_for
from tests.migration.installation import door, in_phase, installation  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("installation")]

LEAD = Actor("lead")
API = "/api/v2/migration"


@pytest.fixture(autouse=True)
def untouched(installation):
    """No rule set, no lease held by an earlier test."""
    yield
    for name in (watch_file.NAME, "watchdog.lease"):
        (installation.file.directory / name).unlink(missing_ok=True)


def as_role(role: Role | None) -> APIClient:
    client = APIClient()
    client.force_login(person(role))
    return client


def test_a_rule_that_is_set_is_in_force_for_the_watchdog_and_in_the_audit_log():
    guarding.set_rule("slow", "observe", actor=LEAD, reason="the new index is being built")

    assert guarding.in_force().mode_of("slow") is Mode.OBSERVE
    assert guarding.in_force().mode_of("error_rate_5") is Mode.ROLL_BACK
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.detail["before"], entry.detail["after"]) == ("watch_rule_set", "roll_back", "observe")


def test_an_unknown_rule_mode_or_a_missing_reason_changes_nothing():
    with pytest.raises(Refused, match="there is no rule 'fast'"):
        guarding.set_rule("fast", "observe", actor=LEAD, reason="x")
    with pytest.raises(Refused, match="mode 'maybe'"):
        guarding.set_rule("slow", "maybe", actor=LEAD, reason="x")
    with pytest.raises(MissingReason):
        guarding.set_rule("slow", "observe", actor=LEAD, reason=" ")
    assert guarding.in_force() == Guarding()


def test_the_kill_switch_is_logged_lets_every_rule_only_observe_and_locks_steps_forward(installation):
    in_phase(installation, "shadow")

    guarding.switch(False, actor=LEAD, reason="a planned failover of the database")

    assert {guarding.in_force().mode_of(rule) for rule in ("error_rate_5", "slow")} == {Mode.OBSERVE}
    assert "switched automatic rollbacks off" in AuditEntry.objects.get().sentence
    with pytest.raises(Refused) as refused:
        advancing.advance(actor=LEAD)
    assert "automatic rollbacks are switched off by lead: a planned failover of the database" in refused.value.reasons
    with pytest.raises(Refused, match="off already"):
        guarding.switch(False, actor=LEAD, reason="again")

    guarding.switch(True, actor=LEAD, reason="done")

    assert guarding.in_force().is_on
    assert guarding.why_locked() == []


def test_a_rule_file_that_was_lost_is_written_again_by_the_route_agent(installation):
    in_phase(installation, "shadow")
    guarding.set_rule("slow", "hold", actor=LEAD, reason="x")
    (installation.file.directory / watch_file.NAME).unlink()

    agent.tick()

    assert guarding.in_force().mode_of("slow") is Mode.HOLD


def test_what_a_rule_observed_is_kept_once_and_says_what_it_would_have_done(installation):
    in_phase(installation, "canary_10")
    observed = Finding("error_rate_1", Action.PREVIOUS, "new: 9 of 400 requests failed (2.2%), above 1%")
    look = Look({}, [], Decision(Action.NOTHING, observed=(observed,)), Guarding(modes={"error_rate_1": Mode.OBSERVE}))
    recorder = Recorder()

    recorder.store(look)
    recorder.store(look)

    finding = WatchFinding.objects.get()
    assert (finding.rule, finding.action, finding.mode, finding.looks) == ("error_rate_1", "previous", "observe", 2)
    assert "would previous" in Alert.objects.get(closed_at=None).sentence


def test_that_nobody_checks_the_state_any_more_is_said_until_somebody_does(installation, time_machine):
    in_phase(installation, "canary_10")
    time_machine.move_to(NOW, tick=False)
    recorder, quiet = Recorder(), Look({}, [], Decision(Action.NOTHING), Guarding())

    def open_after(seconds: float) -> list[str]:
        time_machine.shift(seconds)
        recorder.store(quiet)
        return [alert.sentence for alert in Alert.objects.filter(closed_at=None)]

    assert open_after(0) == open_after(49) == []
    (said,) = open_after(2)
    assert said == "the state has not been checked since 09:00:00 UTC: corrupted data would move nothing"

    restoring.check_state()
    assert open_after(1) == open_after(49) == []
    assert len(open_after(2)) == 1


def test_a_rollback_keeps_what_was_measured_at_every_proxy_and_what_decided_it(installation):
    in_phase(installation, "canary_10")

    rolling_back.roll_back(
        "previous",
        reason="x",
        actor=LEAD,
        trigger=rolling_back.AUTOMATIC,
        rule="error_rate_1",
        evidence={"new": {"requests": 400, "errors": 9}},
    )
    rolling_back.record_now()

    rollback = Rollback.objects.get()
    assert rollback.written_seconds < rollback.acknowledged["front-a"] <= rollback.seconds
    assert (rollback.rule, rollback.evidence["new"]["errors"]) == ("error_rate_1", 9)


def test_after_an_automatic_rollback_forward_needs_a_fresh_vote(installation):
    run = in_phase(installation, "rollout_25")
    in_canary = Role.MIGRATION_LEAD
    run.votes.create(person=person(in_canary), role=in_canary, choice="go", cast_at=run.started_at, judged=run.judged)

    rolling_back.roll_back("previous", reason="x", actor=LEAD, trigger=rolling_back.AUTOMATIC)
    rolling_back.record_now()

    again = PhaseRun.objects.get(state="active")
    assert (again.slug, again.votes.count()) == ("canary_10", 0)
    with pytest.raises(Refused) as refused:
        advancing.advance(actor=LEAD)
    assert any(reason.startswith("Consensus") for reason in refused.value.reasons)
    assert any(reason.startswith("cool-down") for reason in refused.value.reasons)


def test_only_one_of_two_watchdogs_holds_the_lease_and_the_other_takes_over(tmp_path):
    first, second = FileLease(tmp_path / "lease", 0.1), FileLease(tmp_path / "lease", 0.1)

    assert first.hold()
    assert not second.hold()
    assert first.standby_age_seconds() < 10
    wait_for(second.hold)
    assert not first.hold()
    second.release()
    assert first.hold()
    assert first.read().term == 1


def test_a_stopped_watchdog_is_relieved_by_its_standby_and_stands_by_when_it_goes_on(installation, settings):
    env = {**os.environ, "ENVOY_STATE_DIR": str(installation.file.directory), "PROXIES": settings.PROXIES[0]}
    env |= {"SPOOL_DIR": str(settings.SPOOL_DIR), "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}
    command = [sys.executable, "-W", "ignore", "manage.py", "watchdog"]
    watchdog, standby = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL), guarding.lease()
    try:
        wait_for(standby.read, 50)  # Django starts slowly on a busy machine
        assert not standby.hold()

        os.kill(watchdog.pid, signal.SIGSTOP)
        wait_for(standby.hold)
        os.kill(watchdog.pid, signal.SIGCONT)

        wait_for(lambda: standby.hold() and standby.standby_age_seconds() is not None)
        assert str(watchdog.pid) in standby.read().standby
    finally:
        watchdog.kill()
        watchdog.wait()


def test_a_robot_of_the_list_is_sent_to_legacy_and_forward_again(installation, settings):
    in_phase(installation, "canary_10")
    file, plan = installation.file, installation.file.read().plan
    robot_id = next(f"robot-{n}" for n in range(1000) if plan.owner_of(f"robot-{n}").side is Side.NEW)
    settings.REHEARSAL_ROBOTS, settings.REHEARSALS = ["robot-of-legacy", robot_id], "required"
    settings.ROBOT_INTERVAL_SECONDS = 0.0
    heard_robot(robot_id, last_side="legacy")
    assert rehearsing.why_locked() == ["the way back was never rehearsed"]

    done = rehearsing.rehearse()

    assert (done.robot_id, done.way, done.state, done.failure) == (robot_id, "robot", "proven", "")
    assert done.back_seconds > 0
    assert file.read().plan == plan
    assert installation.beat(robot_id).system == "new"
    assert rehearsing.proof().is_fresh
    assert rehearsing.why_locked() == []
    assert rehearsing.rehearse_if_due() is None


@pytest.mark.parametrize(("slug", "way"), [("preparation", "route"), ("shadow", "probe"), ("full_100", "probe")])
def test_without_a_robot_to_send_the_way_back_is_rehearsed_with_what_the_phase_allows(installation, slug, way):
    in_phase(installation, slug)
    plan = installation.file.read().plan

    done = rehearsing.rehearse()

    assert (done.way, done.state, done.failure) == (way, "proven", "")
    assert installation.file.read().plan == plan


def test_a_way_back_that_is_not_confirmed_fails_the_rehearsal_and_locks_steps_forward(installation, settings):
    in_phase(installation, "canary_10")
    settings.REHEARSALS = "required"
    settings.PROXIES = [*settings.PROXIES, "front-b=http://127.0.0.1:1|http://127.0.0.1:1"]

    done = rehearsing.rehearse()

    assert done.state == "failed"
    assert "front-b" in done.failure
    assert installation.file.read().plan.pins == {}
    assert "front-b" in rehearsing.why_locked()[0]
    with pytest.raises(Refused) as refused:
        advancing.advance(actor=LEAD)
    assert rehearsing.why_locked()[0] in refused.value.reasons


def test_a_proof_that_is_too_old_locks_steps_forward(installation, settings):
    in_phase(installation, "shadow")
    settings.REHEARSALS, settings.REHEARSAL_PROOF_SECONDS = "required", 0.0
    rehearsing.rehearse()

    assert "too old" in rehearsing.why_locked()[0]


def test_nothing_is_rehearsed_while_a_latch_holds_or_a_shift_is_on_its_way(installation):
    in_phase(installation, "canary_10")
    rolling_back.roll_back("emergency", reason="x", actor=LEAD)
    rolling_back.record_now()

    with pytest.raises(Refused, match="latched by lead"):
        rehearsing.rehearse()
    latching.release(actor=LEAD, reason="mended")
    assert rehearsing.rehearse().state == "proven"
    assert not TrafficShift.objects.exists()


def test_a_rehearsal_whose_worker_disappeared_is_ended_and_its_pin_taken_out(installation):
    in_phase(installation, "canary_10")
    plan = installation.file.read().plan
    left = Rehearsal.objects.create(
        robot_id="robot-1", way="robot", phase="canary_10", asked_by="rehearsal", started_at="2026-01-01T00:00:00Z"
    )
    installation.route(type(plan)(**{**plan.to_dict(), "pins": {"robot-1": "legacy"}}))

    rehearsing.rehearse()

    left.refresh_from_db()
    assert (left.state, left.failure) == ("failed", "the worker that rehearsed it disappeared")
    assert installation.file.read().plan.pins == {}


def test_a_viewer_may_read_all_of_it_and_change_nothing(installation):
    in_phase(installation, "canary_10")
    viewer = as_role(None)
    calls = [
        ("put", "watchdog/rules/slow", {"mode": "observe", "reason": "x"}),
        ("put", "watchdog/automation", {"on": False, "reason": "x"}),
        ("post", "rehearsals", {"reason": "x"}),
        ("post", "restores", {"reason": "x"}),
    ]

    assert viewer.get(f"{API}/watchdog").json()["automation"]["on"] is True
    for path in ("rehearsals", "restores"):
        assert viewer.get(f"{API}/{path}").json()["results"] == []
    for method, path, body in calls:
        assert getattr(viewer, method)(f"{API}/{path}", body, format="json").status_code == 403, path
    assert guarding.in_force() == Guarding()


def test_the_lead_sets_rules_switches_the_automation_and_rehearses_by_api(installation):
    in_phase(installation, "canary_10")
    lead = as_role(Role.MIGRATION_LEAD)

    told = lead.put(f"{API}/watchdog/rules/slow", {"mode": "hold", "reason": "x"}, format="json")
    assert told.json() == {"name": "slow", "mode": "hold", "changed_by": "migration_lead"}
    assert lead.put(f"{API}/watchdog/rules/fast", {"mode": "hold", "reason": "x"}, format="json").status_code == 409
    refused = lead.put(f"{API}/watchdog/rules/slow", {"mode": "x", "reason": ""}, format="json").json()
    assert {error["field"] for error in refused["errors"]} == {"mode", "reason"}
    assert lead.put(f"{API}/watchdog/automation", {"on": False, "reason": "x"}, format="json").json()["on"] is False
    assert lead.post(f"{API}/rehearsals", {"reason": "x"}, format="json").json()["state"] == "proven"
    assert lead.post(f"{API}/restores", {"reason": "x"}, format="json").status_code == 409
    state = lead.get(f"{API}/watchdog").json()
    assert {rule["name"]: rule["mode"] for rule in state["rules"]}["slow"] == "hold"
    assert {rule["in_force"] for rule in state["rules"]} == {"observe"}


def test_the_change_detector_needs_more_than_one_burst_and_forgets_a_healthy_stretch():
    detector = Detector()
    burst = Suspicion().after(200, 12, detector)

    assert not burst.is_believed(detector)
    assert burst.after(400, 0, detector) == Suspicion()
    assert burst.after(5_000, 150, detector).after(20, 1, detector).is_believed(detector)


def test_the_observed_split_is_told_by_cohort(installation):
    in_phase(installation, "canary_10")
    heard_robot("lekiwi-1", last_side="new", site="a")
    heard_robot("lekiwi-2", last_side="legacy", site="a")
    heard_robot("xle-1", last_side="legacy", kind_by_id="xle", site="b")

    told = {each["cohort"]: each["observed_percent"] for each in guarding.state()["cohorts"]}

    assert told == {"kind lekiwi": 50.0, "kind xle": 0.0, "site a": 50.0, "site b": 0.0}
