"""The report and the replay, from what is stored."""

import io
import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from rest_framework.test import APIClient

from migration.models import PhaseRun, Rollback, SideBySide, TrafficSample
from migration.reporting import stated
from migration.reporting.report import report
from migration.traffic import nothing
from tests.builders import heard_robot, person, phase_run, sample, seconds

pytestmark = pytest.mark.django_db


def told(name: str) -> dict:
    return next(one for one in report()["criteria"] if one["name"] == name)


def command(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.fixture
def faulty() -> PhaseRun:
    """A canary of 100 requests a second that failed 1 % from second 60 on, 4 % from second 102, and went back."""
    run = phase_run("canary_10", started_at=timezone.now() - timedelta(minutes=10))
    requests = errors = 0
    samples = []
    for second in range(125):
        requests += 100
        errors += 0 if second < 60 else 1 if second < 102 else 4
        totals = nothing()
        totals["new.owner"] = {"requests": requests, "errors": errors, "buckets": {"100": requests, "inf": requests}}
        samples.append(TrafficSample(at=run.started_at + seconds(second), totals=totals, raw={}))
    TrafficSample.objects.bulk_create(samples)
    at = run.started_at + seconds(124)
    run.roll_back(at)
    run.save()
    facts = {"from_phase": "canary_10", "to_phase": "shadow", "from_percent": 10, "to_percent": 0}
    Rollback.objects.create(
        uid="00000000-0000-0000-0000-000000000001",
        trigger="automatic",
        reason="new: 4.0 %",
        actor="watchdog",
        decided_at=at,
        seconds=0.41,
        budget_seconds=120,
        state="observed",
        **facts,
    )
    return run


def test_a_report_of_nothing_is_inconclusive_with_the_reason_of_each_criterion():
    made = report()

    assert made["verdict"] == "inconclusive"
    assert {one["verdict"] for one in made["criteria"]} == {"inconclusive"}
    assert all(one["sentence"] for one in made["criteria"])


def test_downtime_is_the_share_of_robots_calls_that_failed_as_time():
    now = timezone.now()
    sample(now - seconds(20), **{"robots.calls": 0, "robots.failed": 0})
    sample(now - seconds(10), **{"robots.calls": 100, "robots.failed": 25})
    sample(now, **{"robots.calls": 200, "robots.failed": 25})

    assert (told("downtime")["verdict"], told("downtime")["figure"]) == ("fail", "2.50 s")


def test_errors_and_latency_are_of_the_phases_that_held(faulty):
    run = phase_run("full_100", started_at=timezone.now() - timedelta(minutes=5))
    before = TrafficSample.objects.order_by("-at").first().totals["new.owner"]["requests"]
    errors = TrafficSample.objects.order_by("-at").first().totals["new.owner"]["errors"]
    sample(run.started_at, new_owner=(before, errors))
    sample(timezone.now(), new_owner=(before + 40_000, errors + 1), legacy_owner=(35_000, 0))

    assert told("error_increase")["sentence"] == "0 of 35,000 on legacy, 1 of 40,000 on new"
    assert told("error_increase")["verdict"] == "pass"
    assert told("heartbeat_latency")["verdict"] == "pass"


def test_robots_are_migrated_when_new_answered_them_since_the_whole_fleet_moved():
    heard_robot("Lekiwi_1", last_acknowledged_as_owner_at=timezone.now())
    heard_robot("Lekiwi_2")
    assert told("robots")["verdict"] == "inconclusive"

    phase_run("full_100", started_at=timezone.now() - timedelta(minutes=1))

    assert (told("robots")["figure"], told("robots")["sentence"]) == ("1 of 2", "not yet: Lekiwi_2")


def test_what_both_systems_learnt_is_compared_by_medians_with_the_number_of_samples():
    for number, (state, legacy) in enumerate([("said", 310), ("said", 330), *[("over", 60)] * 2, ("open", 20)]):
        SideBySide.objects.create(
            of="silence",
            subject=str(number),
            state=state,
            began_at=timezone.now(),
            new_seconds=8 + number,
            legacy_seconds=legacy,
        )
    SideBySide.objects.create(of="operation", subject="0", state="before", began_at=timezone.now(), new_seconds=1)

    assert (told("noticing")["verdict"], told("noticing")["figure"]) == ("pass", "10 s, legacy ≥ 60 s (83 % less)")
    assert "medians of 5 silences" in told("noticing")["sentence"]
    assert "3 of which legacy did not say while they were so" in told("noticing")["sentence"]
    assert told("knowing_teleop")["verdict"] == "inconclusive"
    assert "medians of 0 sessions" in told("knowing_teleop")["sentence"]
    assert "1 that legacy had said before they were so" in told("knowing_teleop")["sentence"]


def test_what_another_part_states_is_in_the_report(monkeypatch):
    monkeypatch.setitem(stated._statements, "team_trained", lambda: (True, "signed by lead"))

    assert (told("team_trained")["verdict"], told("team_trained")["figure"]) == ("pass", "signed by lead")
    with pytest.raises(ValueError, match="no criterion that is stated"):
        stated.register("weather", lambda: None)


def test_the_command_writes_text_json_and_one_html_file(faulty, tmp_path):
    text = command("migration_report")
    assert "0.41 s: new: 4.0 %" in text
    assert "Canary 10 %" in text

    made = json.loads(command("migration_report", "--format", "json"))
    assert made["phases"][0]["seconds"] == pytest.approx(124)
    file = tmp_path / "report.html"
    command("migration_report", "--format", "html", "--output", str(file))
    assert "<h1>Migration report</h1>" in file.read_text()
    with pytest.raises(CommandError, match="cannot be written"):
        command("migration_report", "--output", str(tmp_path / "none" / "x"))


def test_a_stored_phase_is_judged_again_under_other_thresholds(faulty):
    text = command("replay_phase", str(faulty.pk), "--set", "error_rate=0.5%", "--set", "minimum_errors=1")

    assert "rolled back after 124 s" in text
    assert "would have fired 41 s earlier than the rule of then, with 0 false rollbacks" in text
    made = json.loads(command("replay_phase", str(faulty.pk), "--json"))
    assert [round(one["at"]) for one in made["stored"]] == [103]
    assert made["gate_stored"]["verdict"] == "pass"  # 60 s of 100 good requests a second
    faulty.refresh_from_db()
    assert faulty.state == PhaseRun.State.ROLLED_BACK


@pytest.mark.parametrize("words", [["--set", "error_rate"], ["--set", "colour=1"], ["--set", "error_rate=500%"]])
def test_a_threshold_that_is_none_is_refused(faulty, words):
    with pytest.raises(CommandError) as refused:
        command("replay_phase", str(faulty.pk), *words)

    assert refused.value.returncode == 2


def test_a_run_that_is_not_stored_is_said_so():
    with pytest.raises(CommandError, match="there is no phase run 7"):
        command("replay_phase", "7")


def test_the_report_and_the_replay_over_rest(faulty):
    viewer = APIClient()
    viewer.force_login(person(None))
    replay = f"/api/v2/migration/report/runs/{faulty.pk}/replay"

    assert viewer.get("/api/v2/migration/report").json()["rollbacks"][0]["seconds"] == 0.41
    assert "41 s earlier" in viewer.get(replay, {"set": ["error_rate=0.5%", "minimum_errors=1"]}).json()["sentence"]
    assert viewer.get(replay, {"set": "error_rate=much"}).json()["errors"][0]["field"] == "set"
    assert viewer.get("/api/v2/migration/report/runs/999/replay").status_code == 404
    assert APIClient().get("/api/v2/migration/report").status_code == 401
