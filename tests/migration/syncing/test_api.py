"""Sync by REST: what it answers, who may do what, and what is refused."""

import json
from datetime import UTC, datetime

import pytest
from rest_framework.test import APIClient

from heartbeat.api import examples
from migration.api.examples import EXAMPLES
from migration.models import AuditEntry, HistoryGap, MatchEntry, QuarantinedRow, SyncRun, SyncTuning
from migration.rules.voting import Role
from tests.builders import heard_robot, person, synced
from tests.heartbeat.api.conforming import outline

pytestmark = [pytest.mark.django_db]

API = "/api/v2/migration/sync"


def as_role(role: Role | None) -> APIClient:
    client = APIClient()
    client.force_login(person(role))
    return client


@pytest.fixture
def backend() -> APIClient:
    return as_role(Role.BACKEND)


@pytest.fixture
def told() -> None:
    """One of everything that is listed."""
    now = datetime.now(UTC)
    synced(absent=["Lekiwi_9"], absent_count=1, unsayable=["dep_1"], lost_memory_at=now, lost_memory_rows=3)
    QuarantinedRow.objects.create(
        source="robots", name="a", reason="no status", document={"robot_id": "a"}, first_at=now, tried_at=now
    )
    MatchEntry.objects.create(address="192.168.88.9", reason="ambiguous", hostname="lekiwi_0009", discovered_at=now)
    HistoryGap.objects.create(of="new", key=b"a", robot_id="a", began_at=now, ended_at=now)
    heard_robot("Lekiwi_1")


def test_the_status_says_lag_way_back_throttle_and_what_waits(backend, told):
    answer = backend.get(API).json()

    assert answer["way_back"] == {
        "whole": False,
        "cause": "legacy does not have 1 deployments that its API cannot express: dep_1",
        "lossless_until": None,
    }
    assert answer["lag"]["forward_seconds"] < 60
    assert (answer["quarantined"], answer["runs"]) == (1, False)


def test_a_viewer_sees_everything_and_may_change_nothing(told):
    viewer = as_role(None)

    for path in ("", "/runs", "/quarantine", "/matches", "/gaps"):
        assert viewer.get(f"{API}{path}").status_code == 200
    assert viewer.post(f"{API}/runs").status_code == 403
    assert viewer.post(f"{API}/matches", {}, format="json").status_code == 403
    assert viewer.patch(f"{API}/tuning", {"paused": True}, format="json").status_code == 403
    assert not SyncRun.objects.exists()


def test_tuning_is_changed_while_it_runs_and_audited(backend):
    answer = backend.patch(f"{API}/tuning", {"calls_per_second": 50, "reason": "legacy is busy"}, format="json")

    assert answer.json()["calls_per_second"] == SyncTuning.objects.get().calls_per_second == 50
    assert "calls per second 500.0 → 50.0" in AuditEntry.objects.get(action="sync.tuned").sentence


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"interval_seconds": 0, "reason": "x"}, "interval_seconds"),
        ({"calls_per_second": "fast", "reason": "x"}, "calls_per_second"),
        ({"batch_size": 10**9, "reason": "x"}, "batch_size"),
        ({"paused": "perhaps"}, "paused"),
    ],
)
def test_bad_tuning_names_the_field_and_changes_nothing(backend, body, field):
    answer = backend.patch(f"{API}/tuning", body, format="json")

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not SyncTuning.objects.exists()


def test_a_match_by_hand_needs_a_known_robot_and_a_reason(backend, told):
    given = {"address": "192.168.88.9", "robot_id": "lekiwi_1", "reason": "seen at the bench"}

    assert backend.post(f"{API}/matches", given | {"robot_id": "nobody"}, format="json").status_code == 409
    assert backend.post(f"{API}/matches", given, format="json").status_code == 201

    entry = MatchEntry.objects.get()
    assert (entry.robot_id, entry.how, entry.matched_by) == ("Lekiwi_1", "by hand", Role.BACKEND.value)
    assert AuditEntry.objects.filter(action="sync.matched").exists()


def test_the_examples_in_the_description_have_what_the_answers_have(backend, told):
    known = examples.read(EXAMPLES)
    calls = [
        ("POST", f"{API}/runs", "202"),
        ("GET", API, "200"),
        ("GET", f"{API}/runs", "200"),
        ("GET", f"{API}/quarantine", "200"),
        ("PATCH", f"{API}/tuning", "200"),
        ("GET", f"{API}/gaps", "200"),
        ("GET", f"{API}/matches", "200"),
        ("POST", f"{API}/matches", "201"),
    ]
    for method, path, status in calls:
        example = known[f"{method} {path}"]
        body = () if "request" not in example else (json.dumps(example["request"]), "application/json")
        answer = backend.generic(method, path, *body)
        assert str(answer.status_code) == status, (path, answer.content)
        assert outline(answer.json()) == outline(example[status]), path
