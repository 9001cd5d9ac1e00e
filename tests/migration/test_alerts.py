"""Alerts: from Alertmanager, to people, and back."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError
from rest_framework.test import APIClient

from migration import alerting, evidence, guarding, judging, rolling_back, routing
from migration.actors import Actor
from migration.alerts import acting, escalating, receiving
from migration.alerts.path import escalation_path
from migration.clock import system_clock
from migration.contacts import changing
from migration.models import Alert, AuditEntry, Escalation, Notification, PhaseRun, Pulse, Rollback, WatchFinding
from migration.rules.alerting import Firing
from migration.rules.phases import phase_of
from migration.rules.sequential import Verdict
from migration.rules.voting import Role
from tests.builders import person, phase_run
from tests.migration.installation import door, in_phase, installation  # noqa: F401

pytestmark = pytest.mark.django_db

WEBHOOK = "/api/v2/migration/alerts/webhook"
SECRET = "alertmanager-secret"


@pytest.fixture
def post(settings):
    """Send alerts as Alertmanager does."""
    settings.ALERTMANAGER_TOKEN = SECRET

    def post(*alerts, token=SECRET, **more):
        client = APIClient()
        body = {"version": "4", "groupKey": "{}:{alertname='x'}", "status": "firing", "alerts": list(alerts), **more}
        return client.post(WEBHOOK, body, format="json", headers={"Authorization": f"Bearer {token}"})

    return post


def alert(name="HighErrors", status="firing", began=None, looks_back=None, **labels):
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "critical", **labels},
        "annotations": {
            "summary": f"{name} at {labels.get('site', 'everywhere')}",
            "runbook_url": "https://example.org/r",
            **({} if looks_back is None else {"looks_back_seconds": looks_back}),
        },
        "startsAt": (began or datetime.now(UTC)).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": f"{name}{labels.get('site', '')}",
    }


def test_an_alert_opens_is_brought_up_to_date_and_closes(post):
    assert post(alert(site="A"), alert(site="B")).json()["firing"] == 2
    post(alert(site="A"))
    assert Alert.objects.filter(closed_at=None, source="alertmanager", severity="critical").count() == 2
    assert Alert.objects.values("group").distinct().count() == 1

    post(alert(site="A", status="resolved"))

    assert [one.sentence for one in Alert.objects.filter(closed_at=None)] == ["HighErrors at B"]


def test_nobody_without_the_secret_may_send_alerts(post, settings):
    assert post(alert(), token="guess").status_code == 401
    assert APIClient().post(WEBHOOK, {}, format="json").status_code == 401
    settings.ALERTMANAGER_TOKEN = ""
    assert post(alert(), token="").status_code == 401
    assert not Alert.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"version": "5"}, "version"),
        ({"alerts": [{**alert(), "labels": {"severity": "critical"}}]}, "alerts[0].labels"),
        ({"alerts": [{**alert(), "startsAt": "yesterday"}]}, "alerts[0].startsAt"),
    ],
)
def test_a_message_that_is_none_names_the_field_and_changes_nothing(post, change, field):
    answer = post(alert(), **change)

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not Alert.objects.exists()


def test_a_critical_alert_that_asks_for_a_rollback_gets_exactly_one(installation, post):
    in_phase(installation, "rollout_25")
    fault = alert(action="rollback")

    answer = post(fault)
    post(fault)

    assert answer.json()["outcomes"] == ["rolled back 25 → 10 %: observed"]
    assert installation.file.read().plan.percent == 10
    rollback = Rollback.objects.get()
    assert (rollback.trigger, rollback.actor) == ("automatic", "alertmanager")
    assert rollback.reason == "alert HighErrors: HighErrors at everywhere"
    assert Alert.objects.get().outcome == "rolled back 25 → 10 %: observed"


def test_two_alerts_of_one_fault_take_the_traffic_back_once(installation, post):
    in_phase(installation, "rollout_25")
    began = datetime.now(UTC) - timedelta(seconds=5)

    outcomes = post(alert(began=began, action="rollback"), alert("Slow", began=began, action="rollback")).json()[
        "outcomes"
    ]

    assert outcomes[0] == "rolled back 25 → 10 %: observed"
    assert outcomes[1].startswith("no rollback: traffic went back at")
    assert installation.file.read().plan.percent == 10


def test_an_alert_that_fires_anew_after_a_rollback_rolls_back_once_more(installation, post):
    in_phase(installation, "rollout_25")
    post(alert(action="rollback", looks_back="0"))
    post(alert(action="rollback", looks_back="0", status="resolved"))

    post(alert(action="rollback", looks_back="0"))

    assert installation.file.read().plan.percent == 0
    assert PhaseRun.objects.get(state="active").slug == "shadow"


@pytest.mark.parametrize("looks_back", ["45", None, "soon", "9" * 40], ids=["told", "untold", "no number", "too much"])
def test_an_alert_that_fires_after_the_watchdog_has_rolled_back_does_not_do_it_again(installation, post, looks_back):
    in_phase(installation, "rollout_25")
    rolling_back.roll_back("previous", reason="errors", actor=Actor("watchdog"), trigger=rolling_back.AUTOMATIC)
    rolling_back.record_now()

    fires = alert(action="rollback", began=datetime.now(UTC) + timedelta(seconds=20), looks_back=looks_back)
    (outcome,) = post(fires).json()["outcomes"]

    assert outcome.startswith("no rollback: traffic went back at")
    assert installation.file.read().plan.percent == 10


def test_while_automatic_rollbacks_are_switched_off_an_alert_only_says_what_it_would_have_done(installation, post):
    in_phase(installation, "rollout_25")
    guarding.switch(False, actor=Actor("lead"), reason="a planned failover")
    fault = alert(action="rollback")

    (outcome,) = post(fault).json()["outcomes"]

    held = "automatic ones are switched off by lead: a planned failover"
    assert outcome == f"no rollback: it would have left Rollout 25 %, but {held}"
    assert installation.file.read().plan.percent == 25
    assert not Rollback.objects.exists()
    finding = WatchFinding.objects.get()
    assert (finding.rule, finding.action, finding.mode) == ("alert", "previous", "observe")
    assert finding.sentence == "alert HighErrors: HighErrors at everywhere; would have left Rollout 25 %"
    assert Alert.objects.get(source="alertmanager").outcome == outcome

    guarding.switch(True, actor=Actor("lead"), reason="done")

    assert post(fault).json()["outcomes"] == ["rolled back 25 → 10 %: observed"]


def test_a_kill_switch_holds_an_alert_without_a_database(installation, monkeypatch):
    in_phase(installation, "rollout_25")
    guarding.switch(False, actor=Actor("lead"), reason="a planned failover")
    firing = Firing("HighErrors", "1", True, {"severity": "critical", "action": "rollback"}, {}, datetime.now(UTC))

    def broken(*args, **kwargs):
        raise OperationalError("the database is gone")

    with monkeypatch.context() as without:
        without.setattr("django.db.backends.utils.CursorWrapper.execute", broken)
        assert acting.roll_back_for(firing).startswith("no rollback: it would have left Rollout 25 %")

    assert installation.file.read().plan.percent == 25


def test_the_rollback_of_an_alert_needs_no_database(installation, monkeypatch):
    in_phase(installation, "rollout_25")
    firing = Firing("HighErrors", "1", True, {"severity": "critical", "action": "rollback"}, {}, datetime.now(UTC))

    def broken(*args, **kwargs):
        raise OperationalError("the database is gone")

    with monkeypatch.context() as without:
        without.setattr("django.db.backends.utils.CursorWrapper.execute", broken)
        assert acting.roll_back_for(firing) == "rolled back 25 → 10 %: observed"
        assert acting.roll_back_for(firing) == "rolled back 25 → 10 %: observed"

    assert installation.file.read().plan.percent == 10


def test_a_worker_killed_after_the_route_moved_does_not_move_it_again(installation):
    in_phase(installation, "rollout_25")
    firing = Firing("HighErrors", "1", True, {"severity": "critical", "action": "rollback"}, {}, datetime.now(UTC))
    acting._write(acting._note_of(firing), {"leaving": "rollout_25"})
    rolling_back.roll_back("previous", reason="as the killed one did", actor=Actor("alertmanager"))

    assert "has left Rollout 25 % already" in acting.roll_back_for(firing)
    assert installation.file.read().plan.percent == 10


@pytest.mark.parametrize("changes", [{"severity": "warning"}, {"action": "page"}])
def test_only_a_critical_alert_with_the_action_rolls_back(installation, post, changes):
    in_phase(installation, "rollout_25")

    assert post(alert(**{"action": "rollback", **changes})).json()["outcomes"] == []
    assert installation.file.read().plan.percent == 25


def test_an_alert_in_preparation_says_that_there_is_nothing_to_go_back_to(installation, post):
    assert post(alert(action="rollback")).json()["outcomes"] == ["no rollback: Preparation has nothing to go back to"]


def test_the_always_firing_alert_proves_the_pipeline_for_a_minute(post, settings, tmp_path):
    settings.ALERT_PIPELINE = "required"
    settings.ENVOY_STATE_DIR = tmp_path
    routing.route_file().initialise(routing.plan_for(phase_of("canary_10"), {}))
    run = phase_run("canary_10")

    def stability():
        return next(one for one in judging.judge(run, system_clock()) if one.gate == "stability").judgement

    assert stability().verdict is Verdict.INCONCLUSIVE
    post(alert("Watchdog", severity="none", status="resolved"))
    assert stability().verdict is Verdict.INCONCLUSIVE

    assert post(alert("Watchdog", severity="none")).json()["proves_pipeline"] is True
    assert stability().verdict is Verdict.PASS
    assert not Alert.objects.exists()

    Pulse.objects.filter(name="alert_pipeline").update(at=system_clock().now() - timedelta(seconds=61))
    assert stability().verdict is Verdict.INCONCLUSIVE
    assert "alert_pipeline" in {guard.name for guard in evidence.guards(system_clock().now()) if not guard.is_alive}
    settings.ALERT_PIPELINE = "waived"
    assert stability().verdict is Verdict.PASS
    assert "waived by a setting" in stability().sentence


def critical(minutes_ago=0.0, name="new down"):
    opened_at = system_clock().now() - timedelta(minutes=minutes_ago)
    alerting.tell(name, f"{name}: it does not answer", severity="critical", at=opened_at)
    return Alert.objects.get(name=name)


def told():
    return [(step.step, step.who) for step in Escalation.objects.all()]


def test_an_unacknowledged_alert_goes_up_the_path_each_step_once(settings):
    one = critical()
    for minutes in (0, 0, 5, 10, 19, 20, 30, 300):
        escalating.escalate(one.opened_at + timedelta(minutes=minutes))

    assert told() == [(0, "on_call"), (1, "on_call"), (2, "team_lead"), (3, "director"), (4, "cto")]
    assert AuditEntry.objects.filter(action="escalated").count() == 5


def test_a_step_goes_to_whoever_the_contacts_name_and_says_so_when_nobody_can_be_written_to(settings):
    lead, now = Actor("lead"), system_clock().now()
    changing.put_contact({"name": "Bea", "duty": "on_call", "email": "bea@example.org"}, actor=lead)
    ada = changing.put_contact({"name": "Ada", "duty": "on_call", "email": "ada@example.org"}, actor=lead)
    changing.put_contact({"name": "Tim", "duty": "team_lead", "telephone": "+00 1"}, actor=lead)
    changing.put_on_rota(ada, now - timedelta(hours=1), now + timedelta(days=1), actor=lead)
    one = critical()

    escalating.escalate(one.opened_at + timedelta(minutes=21))

    sentences = [each.sentence for each in Notification.objects.filter(kind="escalation").order_by("id")]
    assert [each.address for each in Escalation.objects.all()] == ["ada@example.org"] * 2 + ["", ""]
    assert sentences[0].startswith("To on-call (Ada): new down")
    assert sentences[2].endswith("(no e-mail reaches them: call)")
    assert sentences[3].startswith("To director: ")
    assert sentences[3].endswith("(the contacts name nobody)")
    settings.EMAIL_HOST = ""
    assert [step.address for step in escalation_path(now)] == [""] * 5, "without a mail server nobody is written to"


def test_an_acknowledged_alert_and_one_that_is_over_go_no_further():
    one, other = critical(), critical(name="front-a down")
    escalating.escalate(other.opened_at)
    client = APIClient()
    client.force_login(person(Role.ON_CALL))

    answer = client.post(f"/api/v2/migration/alerts/{one.pk}/acknowledge", {"comment": "looking"}, format="json")
    alerting.is_over(other.name, at=system_clock().now())
    escalating.escalate(one.opened_at + timedelta(hours=1))

    assert answer.status_code == 200
    assert (answer.json()["acknowledged_by"], answer.json()["told"]) == ("on_call", ["on_call"])
    assert len(told()) == 2
    entry = AuditEntry.objects.get(action="alert_acknowledged")
    assert (entry.actor, entry.detail["why"], entry.detail["after"]) == (
        "on_call",
        "looking",
        {"acknowledged_by": "on_call"},
    )


def test_a_second_acknowledgement_names_who_has_it_and_a_viewer_gets_403():
    one = critical()
    url = f"/api/v2/migration/alerts/{one.pk}/acknowledge"
    first, second, viewer = APIClient(), APIClient(), APIClient()
    first.force_login(person(Role.ON_CALL))
    second.force_login(person(Role.BACKEND))
    viewer.force_login(person(None))

    assert viewer.post(url).status_code == 403
    assert first.post(url).status_code == 200
    assert second.post(url).json()["detail"] == "on_call has acknowledged it already"
    assert second.post("/api/v2/migration/alerts/999/acknowledge").status_code == 409


def test_a_warning_is_told_but_not_escalated():
    alerting.tell("lag", "sync is late", severity="warning", at=system_clock().now())

    escalating.escalate(system_clock().now() + timedelta(hours=1))

    assert told() == []


def test_alerts_are_listed_by_state():
    one = critical()
    critical(name="over").__class__.objects.filter(name="over").update(closed_at=system_clock().now())
    client = APIClient()
    client.force_login(person(None))

    listed = client.get("/api/v2/migration/alerts", {"state": "waiting"}).json()["results"]

    assert [row["id"] for row in listed] == [one.pk]
    assert client.get("/api/v2/migration/alerts", {"state": "lost"}).status_code == 400


def test_a_message_of_alertmanager_may_come_twice():
    firing = Firing("x", "1", True, {"severity": "page"}, {"description": "it is"}, datetime.now(UTC))

    receiving.receive([firing])
    receiving.receive([firing])

    assert [(one.sentence, one.severity) for one in Alert.objects.all()] == [("it is", "critical")]
