"""The checklist before the migration: checks that can fail, signatures, waivers, and what the gate makes of them."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from django.core.management import CommandError, call_command

from migration import rehearsing, routing
from migration.actors import Actor
from migration.checklist import reading, running, signing
from migration.checklist.registry import checks, refused_waivers
from migration.errors import MissingReason, Refused
from migration.models import AuditEntry, CheckResult, SignOff
from migration.rules.phases import phase_of
from migration.rules.sequential import Verdict
from migration.rules.split import Side
from migration.rules.voting import Role
from tests.builders import heard_robot, person, phase_run, verified_backup
from tests.migration.answering import answering
from tests.migration.installation import door, in_phase, installation  # noqa: F401
from tests.migration.relay import relay

pytestmark = pytest.mark.django_db

LEAD = Actor("lead")


def run(name):
    return running.run([name], actor=LEAD)[0]


def says(name):
    return next(point for point in reading.points(datetime.now(UTC)) if point.name == name)


# --- what is run ------------------------------------------------------------------------------------------------


def test_a_check_runs_alone_and_is_kept_with_evidence_and_age():
    result = run("postgresql")

    assert (result.verdict, CheckResult.objects.count()) == ("pass", 1)
    assert result.evidence["version"] >= 140_000
    assert says("postgresql").at == result.at
    assert AuditEntry.objects.get().detail == {"postgresql": "pass"}


def test_an_unknown_name_runs_nothing_and_says_what_there_is():
    with pytest.raises(running.UnknownCheck, match="there is no check magic; there are postgresql,"):
        running.run(["postgresql", "magic"], actor=LEAD)
    assert not CheckResult.objects.exists()


def test_every_check_says_how_to_mend_what_it_finds():
    assert all(len(check.fix) > 20 and check.title and check.role for check in checks().values())


def test_a_result_that_is_too_old_is_not_known():
    result = run("python")
    CheckResult.objects.filter(pk=result.pk).update(at=result.at - timedelta(hours=2))

    assert says("python").verdict is Verdict.INCONCLUSIVE
    assert "run it again" in says("python").sentence


def test_what_is_due_runs_by_itself_in_preparation_only(monkeypatch):
    only = {name: checks()[name] for name in ("python", "debug")}
    monkeypatch.setattr(running, "checks", lambda: only)
    stay = phase_run("preparation")

    assert [result.name for result in running.run_due()] == ["python", "debug"]
    assert running.run_due() == [], "not due again"
    CheckResult.objects.filter(name="debug").update(at=datetime.now(UTC) - timedelta(minutes=2))
    assert [result.name for result in running.run_due()] == ["debug"]
    CheckResult.objects.all().delete()
    stay.slug = "shadow"
    stay.save()
    assert running.run_due() == []


# --- what they find ---------------------------------------------------------------------------------------------


def test_a_database_that_may_forget_is_found():
    """The tests' own server runs without fsync."""
    assert run("durability").sentence == "off: fsync, full_page_writes"


def test_pools_beyond_the_limit_fail_with_both_figures(settings):
    assert run("connections").verdict == "pass"
    settings.SITE_THREADS = 1_000

    assert run("connections").verdict == "fail"
    assert run("connections").sentence == "sum 1040 of 197 that the server gives us"


def test_redis_that_does_not_answer_or_has_no_cap_is_found(settings):
    assert run("redis-memory").verdict == "pass"
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    assert run("redis").sentence.startswith("does not answer")
    assert run("redis-memory").verdict == "inconclusive"


def test_too_little_memory_and_disk_fail_with_what_is_needed(settings):
    settings.PRECHECK_MEMORY_GB = settings.PRECHECK_DISK_GB = 1e6

    assert "needs 1e+06 GB" in run("memory").sentence
    assert (run("memory").verdict, run("disk").verdict) == ("fail", "fail")
    settings.PRECHECK_MEMORY_GB = settings.PRECHECK_DISK_GB = 0.001
    assert (run("memory").verdict, run("disk").verdict) == ("pass", "pass")


def test_docker_is_asked_for_only_where_it_is_needed(settings, monkeypatch, tmp_path):
    assert run("docker").verdict == "waived"
    settings.DEPLOYMENT = "containers"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run("docker").sentence == "there is no docker command"
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho 19.3.1\n")
    docker.chmod(0o755)

    assert (run("docker").verdict, run("docker").sentence) == ("fail", "found 19.3.1")
    docker.write_text("#!/bin/sh\necho 27.1.2\n")
    assert run("docker").verdict == "pass"


def test_a_legacy_of_another_shape_or_another_time_is_found(settings):
    late = {"date": format_datetime(datetime.now(UTC) - timedelta(seconds=90), usegmt=True)}
    health = {"status": "healthy", "timestamp": "", "deployments": 0, "robots": 3, "discovery": {}}
    told = {"/health": (200, health), "/api/robots": (200, {"not": "a list"})}
    with answering(told, late) as url:
        settings.LEGACY_URL = url
        assert (run("legacy").verdict, run("legacy").sentence) == ("pass", "healthy, 3 robots")
        contract = run("contract")
        clocks = run("clocks")

    assert "/api/robots answers another shape" in contract.sentence
    assert "/api/check-update answers 404 instead of 422" in contract.sentence
    assert clocks.verdict == "fail"
    assert clocks.sentence.startswith("legacy is -")
    assert run("legacy").verdict == "fail"
    assert run("contract").verdict == "inconclusive"


def test_monitoring_is_waived_by_a_setting_or_really_asked(settings):
    settings.ALERT_PIPELINE = "waived"
    assert (run("dashboards").verdict, run("alert-route").verdict) == ("waived", "waived")
    settings.ALERT_PIPELINE = "required"
    down = {"scrapeUrl": "http://new/metrics", "health": "down"}
    rule = {"type": "alerting", "name": "NewDown", "health": "ok"}
    told = {
        "/api/v1/targets": (200, {"data": {"activeTargets": [down]}}),
        "/api/v1/rules": (200, {"data": {"groups": [{"rules": [rule]}]}}),
        "/api/search": (200, [{"title": "Migration"}]),
    }
    with answering(told) as url:
        settings.PROMETHEUS_URL = settings.GRAFANA_URL = settings.ALERTMANAGER_URL = url
        assert run("dashboards").sentence == "target http://new/metrics is down"
        down["health"] = "up"
        assert run("dashboards").sentence == "1 targets up, 1 alert rules, 1 dashboards"
        settings.GRAFANA_URL = ""
        assert run("dashboards").sentence == ("1 targets up, 1 alert rules, no Grafana is asked (GRAFANA_URL is empty)")
        assert run("alert-route").sentence.startswith("Alertmanager does not take it")
    assert run("dashboards").sentence.startswith("cannot be asked")


def test_a_backup_counts_when_it_was_restored_within_a_day(tmp_path):
    assert run("backup").verdict == "inconclusive"
    kept = verified_backup(tmp_path, datetime.now(UTC) - timedelta(hours=2))
    assert run("backup").sentence.startswith(f"backup {kept.pk}, 2.0 h old")
    kept.begun_at -= timedelta(days=1)
    kept.save()
    assert run("backup").verdict == "fail"
    verified_backup(tmp_path, state="failed", failure="no room")
    assert "failed: no room" in run("backup").sentence


def test_a_cut_audit_log_is_found(settings, tmp_path):
    settings.ENVOY_STATE_DIR = tmp_path
    assert run("audit").verdict == "pass"
    (tmp_path / "audit-head.json").write_text(json.dumps({"sequence": 900, "hash": "0" * 64}))

    assert "its tail is cut" in run("audit").sentence


def test_the_door_obeys_takes_a_drill_and_is_missed_when_it_is_gone(installation):
    in_phase(installation, "preparation")
    before = installation.file.read()

    assert run("door").sentence == f"1 of 1 proxies run route {before.version}, every probe obeys"
    drill = run("route-drill")
    assert (drill.verdict, installation.file.read().version) == ("pass", before.version + 1)
    assert installation.file.read().plan == before.plan, "nobody was moved"

    installation.envoy.stop()
    try:
        assert "front-a" in run("door").sentence
        assert run("bypass").verdict == "inconclusive"
    finally:
        installation.envoy.start()


@pytest.mark.parametrize("name", ["door", "route-drill"])
def test_a_rehearsal_that_changes_the_route_meanwhile_is_no_fault_of_the_door(installation, settings, name):
    in_phase(installation, "shadow")
    ((_, admin, _),) = [re.split(r"[=|]", proxy) for proxy in settings.PROXIES]
    rehearsed = replace(installation.file.read().plan, pins={"probe-000": Side.NEW})

    with relay(installation, at_first=lambda: installation.route(rehearsed)) as url:
        settings.PROXIES = [f"front-a={admin}|{url}"]
        found = run(name)

    assert found.verdict == "pass", found.sentence
    assert installation.file.read().plan == rehearsed, "the rehearsal goes on from where it was"


def test_a_drill_of_the_checklist_meanwhile_is_no_failure_of_a_rehearsal(installation, settings):
    in_phase(installation, "shadow")
    settings.REHEARSALS = "required"
    ((_, admin, _),) = [re.split(r"[=|]", proxy) for proxy in settings.PROXIES]

    def drill():
        installation.file.write(installation.file.read().plan, because="drill: the same plan again", by="checklist")

    with relay(installation, at_first=drill) as url:
        settings.PROXIES = [f"front-a={admin}|{url}"]
        done = rehearsing.rehearse()

    assert done.state == "proven", done.failure
    assert not installation.file.read().plan.pins


def test_the_way_back_counts_once_it_was_rehearsed_and_says_how_to(installation, settings):
    in_phase(installation, "preparation")
    assert (run("rehearsal").verdict, says("rehearsal").verdict) == ("waived", Verdict.WAIVED)
    settings.REHEARSALS = "required"
    never = run("rehearsal")
    assert (never.verdict, never.sentence) == ("inconclusive", "the way back was never rehearsed")
    assert "Rehearse now" in says("rehearsal").fix

    rehearsing.rehearse()

    assert run("rehearsal").verdict == "pass"
    assert run("rehearsal").sentence.startswith("way back proven 0 s ago")
    settings.REHEARSAL_PROOF_SECONDS = 0
    assert (run("rehearsal").verdict, "too old" in run("rehearsal").sentence) == ("fail", True)
    settings.REHEARSAL_PROOF_SECONDS = 900
    installation.envoy.stop()
    try:
        rehearsing.rehearse()
        assert "the latest rehearsal of the way back failed: front-a" in run("rehearsal").sentence
    finally:
        installation.envoy.start()


def test_a_robot_that_goes_around_the_door_is_found(installation, settings):
    """Legacy's own rows change, and the door has seen nothing."""
    in_phase(installation, "preparation")
    settings.ROBOT_INTERVAL_SECONDS = 0.05
    looks = iter(range(100))
    rows = lambda: [  # noqa: E731
        {"robot_id": "Lekiwi_1", "last_seen": f"at {next(looks)}"},
        {"robot_id": "Lekiwi_2", "last_seen": "at noon"},
    ]
    with answering({"/api/robots": (200, rows)}) as url:
        settings.LEGACY_URL = url
        found = run("bypass")
        assert (found.verdict, found.sentence) == ("fail", "1 robots call legacy without the door: Lekiwi_1")
        installation.route(routing.plan_for(phase_of("shadow"), {}))
        assert run("bypass").verdict == "fail"
        heard_robot("lekiwi_1")
        assert run("bypass").verdict == "pass"
    with answering({"/api/robots": (200, [])}) as url:
        settings.LEGACY_URL = url
        assert run("bypass").verdict == "inconclusive"


# --- what is waived ---------------------------------------------------------------------------------------------


def test_a_setting_waives_what_fails_and_says_why_never_what_nobody_may_do_without(settings):
    settings.PRECHECK_MEMORY_GB = 1e6
    settings.PRECHECKS_WAIVED = "memory=a laptop; backup=no time; magic=x; disk"
    run("memory")

    assert says("memory").verdict is Verdict.WAIVED
    assert says("memory").sentence.startswith("a laptop (found: ")
    assert CheckResult.objects.get().verdict == "fail", "what was found stays"
    assert says("backup").verdict is Verdict.INCONCLUSIVE
    assert refused_waivers() == [
        "PRECHECKS_WAIVED waives backup, which nobody may do without",
        "PRECHECKS_WAIVED names 'magic', which is no check",
        "PRECHECKS_WAIVED waives disk without saying why",
    ]
    assert reading.judge(datetime.now(UTC))[0].verdict is Verdict.FAIL


# --- what is signed ---------------------------------------------------------------------------------------------


def test_a_role_signs_its_own_point_and_no_other():
    qa = person(Role.QA)

    signed = signing.sign(qa, "runbooks", "read aloud on Monday")

    assert (signed.role, says("runbooks").sentence) == ("qa", "qa: read aloud on Monday")
    assert AuditEntry.objects.get().sentence.endswith("read aloud on Monday")
    with pytest.raises(signing.NotTheirs, match="Migration lead or their named backup signs this"):
        signing.sign(qa, "training", "yes")
    with pytest.raises(Refused, match="qa has signed this already"):
        signing.sign(qa, "runbooks", "again")
    with pytest.raises(signing.UnknownSubject):
        signing.sign(qa, "weather", "sunny")
    with pytest.raises(signing.NotTheirs):
        signing.sign(person(None), "runbooks", "I only watch")


def test_a_signature_says_something_and_can_be_withdrawn_with_a_reason():
    lead = person(Role.MIGRATION_LEAD)
    with pytest.raises(MissingReason):
        signing.sign(lead, "training", "   ")
    signing.sign(lead, "training", "all six roles")
    with pytest.raises(MissingReason):
        signing.withdraw(lead, "training", " ")

    signing.withdraw(lead, "training", "a new colleague")

    assert says("training").verdict is Verdict.INCONCLUSIVE
    assert SignOff.objects.get().withdrawn_because == "a new colleague"
    with pytest.raises(Refused, match="is not signed"):
        signing.withdraw(lead, "training", "again")


# --- what the gate and the command make of it -------------------------------------------------------------------


def test_the_gate_is_inconclusive_until_all_ran_and_names_what_fails(settings, monkeypatch):
    only = {name: checks()[name] for name in ("python", "debug")}
    monkeypatch.setattr(reading, "checks", lambda: only)
    monkeypatch.setattr(signing, "SUBJECTS", {"training": signing.SUBJECTS["training"]})
    now = datetime.now(UTC) + timedelta(seconds=1)

    assert reading.judge(now)[0].verdict is Verdict.INCONCLUSIVE
    running.run(["python", "debug"], actor=LEAD)
    assert reading.judge(now)[0].sentence == "The team is trained: not signed by Migration lead yet"
    signing.sign(person(Role.MIGRATION_LEAD), "training", "all six roles")
    assert reading.judge(now)[0].verdict is Verdict.PASS
    settings.DEBUG = True
    running.run(["debug"], actor=LEAD)
    assert reading.judge(now)[0].sentence == "Debugging is off: DEBUG is on"


def test_the_command_runs_what_is_named_and_its_exit_says_whether_it_holds(capsys, settings):
    call_command("run_prechecks", "python")
    assert "pass          Python is 3.11 or newer: found 3.1" in capsys.readouterr().out
    settings.DEBUG = True
    with pytest.raises(CommandError, match="0 of 1 points hold; Debugging is off: fail") as refused:
        call_command("run_prechecks", "debug")
    assert refused.value.returncode == 1
    assert "→ Unset DEBUG" in capsys.readouterr().out
    with pytest.raises(CommandError) as unknown:
        call_command("run_prechecks", "magic")
    assert unknown.value.returncode == 2
