"""What a real Alertmanager sent (tests/migration/alertmanager/README.md), and what comes of it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from migration import rolling_back
from migration.actors import Actor
from migration.alerts import pipeline
from migration.models import Alert, Pulse, Rollback
from tests.migration.installation import door, in_phase, installation  # noqa: F401

pytestmark = pytest.mark.django_db

RECORDED = Path(__file__).parent / "alertmanager"
SECRET = "alertmanager-secret"
NEVER = "0001-01-01T00:00:00Z"


def recorded(name: str, seconds_ago: float = 0.0) -> dict[str, Any]:
    """One message, its alerts begun so long ago; nothing else of it is changed."""
    message = json.loads((RECORDED / f"{name}.json").read_text())
    shift = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    shift -= max(datetime.fromisoformat(alert["startsAt"]) for alert in message["alerts"])
    for alert in message["alerts"]:
        for field in ("startsAt", "endsAt"):
            if alert[field] != NEVER:
                alert[field] = (datetime.fromisoformat(alert[field]) + shift).isoformat()
    return message


@pytest.fixture
def send(settings):
    """As Alertmanager does."""
    settings.ALERTMANAGER_TOKEN = SECRET

    def send(message: dict[str, Any]) -> dict[str, Any]:
        answer = APIClient().post(
            "/api/v2/migration/alerts/webhook",
            message,
            format="json",
            headers={"Authorization": f"Bearer {SECRET}", "User-Agent": "Alertmanager/0.25.0"},
        )
        assert answer.status_code == 200, answer.content
        return answer.json()

    return send


def open_alerts() -> list[str]:
    return sorted(alert.sentence for alert in Alert.objects.filter(closed_at=None))


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.json")), ids=lambda path: path.stem)
def test_every_message_that_was_recorded_is_taken(send, path):
    counted = send(recorded(path.stem))

    proves = counted["proves_pipeline"] or path.stem == "watchdog-resolved"
    assert counted["firing"] + counted["resolved"] + proves >= 1


def test_two_targets_of_one_group_are_two_alerts_and_a_repeated_one_is_the_same(send):
    send(recorded("target-down-firing"))
    (first,) = Alert.objects.all()
    assert (first.title, first.severity, first.group) == ("TargetDown", "critical", '{}:{alertname="TargetDown"}')

    both = recorded("target-down-firing-firing")
    send(both)
    send(both)

    assert Alert.objects.count() == 2
    assert first in Alert.objects.filter(closed_at=None)
    assert {alert.group for alert in Alert.objects.all()} == {first.group}


def test_a_message_closes_what_is_resolved_and_keeps_what_fires(send):
    send(recorded("target-down-firing-firing"))
    mixed = recorded("target-down-resolved-firing")
    firing = [one["annotations"]["summary"] for one in mixed["alerts"] if one["status"] == "firing"]

    assert send(mixed)["resolved"] == 1
    assert open_alerts() == firing

    send(recorded("target-down-resolved-resolved"))
    assert open_alerts() == []


def test_a_rule_that_asks_for_it_rolls_back_once_and_ends(installation, send):
    in_phase(installation, "rollout_50")
    fires = recorded("new-fails-firing", seconds_ago=1)

    outcomes = send(fires)["outcomes"]
    send(fires)
    send(recorded("new-fails-resolved"))

    assert outcomes == ["rolled back 50 → 25 %: observed"]
    assert installation.file.read().plan.percent == 25
    assert Rollback.objects.get().actor == "alertmanager"
    assert (open_alerts(), Alert.objects.get().outcome) == ([], "rolled back 50 → 25 %: observed")


@pytest.mark.parametrize(("fired_later", "percent"), [(40, 25), (50, 10)], ids=["same fault", "another one"])
def test_what_the_watchdog_answered_within_the_rules_look_back_is_answered(installation, send, fired_later, percent):
    in_phase(installation, "rollout_50")
    rolling_back.roll_back("previous", reason="errors", actor=Actor("watchdog"), trigger=rolling_back.AUTOMATIC)
    rolling_back.record_now()

    send(recorded("new-fails-firing", seconds_ago=-fired_later))

    assert installation.file.read().plan.percent == percent


def test_a_proof_is_as_old_as_the_evaluation_it_was_made_of(send):
    message = recorded("watchdog-firing")
    evaluated = datetime.now(UTC) - timedelta(seconds=70)
    message["alerts"][0]["annotations"]["evaluated_at"] = f"{evaluated.timestamp():.0f}"

    assert send(message)["proves_pipeline"]
    assert pipeline.word(datetime.now(UTC)) == "required", "Alertmanager repeats what a dead Prometheus said"

    message["alerts"][0]["annotations"]["evaluated_at"] = f"{datetime.now(UTC).timestamp() + 900:.0f}"
    send(message)
    assert pipeline.word(datetime.now(UTC)) == "proven"
    assert Pulse.objects.get(name=pipeline.PULSE).at <= datetime.now(UTC), "a clock ahead proves no future"


@pytest.mark.parametrize("told", ["", "soon", "nan", "1e300"])
def test_a_proof_that_does_not_say_when_counts_from_its_arrival(send, told):
    message = recorded("watchdog-firing")
    message["alerts"][0]["annotations"]["evaluated_at"] = told

    send(message)

    assert pipeline.word(datetime.now(UTC)) == "proven"


def test_a_proof_that_is_resolved_proves_nothing(send):
    assert send(recorded("watchdog-resolved"))["proves_pipeline"] is False
    assert pipeline.word(datetime.now(UTC)) == "required"
