"""The examples of alerts, audit log and report in the API's description are what it answers."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from rest_framework.test import APIClient

from heartbeat.api import examples
from migration import alerting, audit
from migration.actors import Actor
from migration.api.examples import EXAMPLES
from migration.clock import system_clock
from migration.models import Alert, Delivery, Escalation, Notification, Rollback, TrafficShift
from migration.rules.voting import Role
from tests.builders import person, phase_run, sample, seconds
from tests.heartbeat.api.conforming import outline

FILE: Path = EXAMPLES.with_name("examples_record.json")
API = "/api/v2/migration"


@pytest.fixture
def answers(db, settings, django_capture_on_commit_callbacks, tmp_path):
    """What each operation answers to its example's request, by its place in the description."""
    settings.ALERTMANAGER_TOKEN, settings.ENVOY_STATE_DIR = "secret", tmp_path
    now = system_clock().now()
    run = phase_run("canary_10", started_at=now - timedelta(minutes=1))
    sample(now - seconds(50))
    sample(now, new_owner=(5_000, 400))
    lead, client = person(Role.MIGRATION_LEAD), APIClient()
    client.force_login(lead)
    with django_capture_on_commit_callbacks(execute=True):
        audit.record(Actor("lead"), "vote", "voted go", at=now, why="calm", before={}, after={"choice": "go"})
    run.votes.create(person=lead, role="migration_lead", choice="go", comment="calm", cast_at=now, judged="x")
    run.gate_results.create(gate="duration", verdict="pass", sentence="passed", since=now, judged_at=now)
    moves = {"from_phase": "canary_10", "to_phase": "shadow", "from_percent": 10, "to_percent": 0}
    Rollback.objects.create(
        uid="00000000-0000-0000-0000-000000000001",
        decided_at=now,
        trigger="operator",
        reason="test",
        actor="lead",
        state="observed",
        seconds=0.41,
        budget_seconds=120,
        **moves,
    )
    times = {"requested_at": now, "deadline_at": now, "ended_at": now, "based_on_version": 1}
    TrafficShift.objects.create(state="failed", failure="late", requested_by="lead", reason="x", **times, **moves)
    alerting.tell("new", "new: 12 of 300 requests failed (4.0 %)", severity="critical", at=now)
    Escalation.objects.create(alert=Alert.objects.get(), step=0, who="on_call", told_at=now)
    failed = Delivery.objects.create(
        destination="chat:alerts", state="failed", failure="answered 404", created_at=now, due_at=now
    )
    failed.notifications.add(Notification.objects.create(key="alert:1:opened", kind="alert", sentence="new", at=now))
    known = examples.read(FILE) if FILE.exists() else {}

    def get(path, **query):
        return client.get(f"{API}{path}", query)

    def post(path, key, **headers):
        body = known.get(f"POST {API}{key}", {}).get("request")
        return client.post(f"{API}{path}", body, format="json", headers=headers)

    return {
        f"GET {API}/alerts": get("/alerts"),
        f"GET {API}/alerts/deliveries": get("/alerts/deliveries"),
        f"POST {API}/alerts/{{id}}/acknowledge": post(
            f"/alerts/{Alert.objects.get().pk}/acknowledge", "/alerts/{id}/acknowledge"
        ),
        f"POST {API}/alerts/deliveries/{{id}}/retry": post(
            f"/alerts/deliveries/{failed.pk}/retry", "/alerts/deliveries/{id}/retry"
        ),
        f"POST {API}/alerts/webhook": APIClient().post(
            f"{API}/alerts/webhook",
            known.get(f"POST {API}/alerts/webhook", {}).get("request"),
            format="json",
            headers={"Authorization": "Bearer secret"},
        ),
        f"GET {API}/audit": get("/audit"),
        f"GET {API}/audit/proof": get("/audit/proof"),
        f"GET {API}/report": get("/report"),
        f"GET {API}/report/runs/{{id}}/replay": get(f"/report/runs/{run.pk}/replay", set="error_rate=0.5%"),
    }


def test_an_example_of_the_record_has_what_the_answer_has(answers):
    known = {**examples.read(EXAMPLES), **examples.read(FILE)}

    for place, answer in answers.items():
        assert answer.status_code == 200, (place, answer.content)
        assert outline(answer.json()) == outline(known[place]["200"]), place


def test_an_example_of_the_export_is_one_entry_a_line(answers):
    lines = examples.read(FILE)[f"GET {API}/audit/export"]["200 application/x-ndjson"].splitlines()

    assert {json.loads(line)["action"] for line in lines} == {"vote"}
