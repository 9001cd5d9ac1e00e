"""Explaining and reconciling, between a running legacy server and the site on its database."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from rest_framework.test import APIClient

from heartbeat.ingest.access import Access
from heartbeat.ingest.calls import Calls
from heartbeat.ingest.database import Database
from heartbeat.ingest.offers import Offers
from heartbeat.ingest.recorder import Recorder
from heartbeat.legacy_api.application import create_application
from heartbeat.legacy_api.store import Store
from heartbeat.models import LegacyRow, Robot
from heartbeat.rebuilding import rebuild_state
from migration import audit
from migration.models import AuditEntry, Comparison, Discrepancy, Reconciliation
from migration.rules.voting import Role
from migration.validation import integrity, taking
from teleop.rules.reading import read_operation
from tests.builders import person
from tests.contract.systems import simulated_legacy
from tests.dashboard.conftest import _audit_is_guarded_again, committed_db  # noqa: F401
from tests.dashboard.serving import served
from tests.migration.two_systems import put, row

API = "/api/v2/migration"


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory):
    with simulated_legacy(tmp_path_factory.mktemp("legacy")) as running:
        yield running.base_url


@pytest.fixture
def new(committed_db, tmp_path: Path):
    """The legacy contract on the tests' database."""
    given = connection.get_connection_params()
    dsn = f"postgres://{given['user']}@/{given['dbname']}?host={given['host']}"
    database = Database(dsn)
    calls = Calls(Recorder(dsn), Access(dsn))
    with served(create_application(calls, Offers(database), Store(database, tmp_path), read_operation)) as url:
        yield url


@pytest.fixture
def both(legacy, new, settings, tmp_path: Path, monkeypatch):
    """Both are this installation's, empty, with quick logins and a lag that nobody waits for."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STATE_DIR = settings.ENVOY_STATE_DIR = tmp_path
    settings.LEGACY_URL = legacy
    settings.OWN_DOOR_PORT = urlsplit(new).port
    monkeypatch.setattr(integrity, "LAG_SECONDS", 0.05)
    monkeypatch.setattr(integrity, "PAUSE_SECONDS", 0.05)
    put(legacy, [])
    return legacy


def as_person(role: Role | None) -> APIClient:
    client = APIClient()
    client.force_login(person(role))
    return client


def found() -> Discrepancy:
    integrity.check()
    return Discrepancy.objects.get(state="confirmed")


def test_a_row_that_new_lacks_is_proposed_by_one_approved_by_another_and_fixed(both):
    put(both, [row("Lekiwi_1", status="deploying", seconds_ago=40)])
    qa, lead, viewer = as_person(Role.QA), as_person(Role.MIGRATION_LEAD), as_person(None)
    discrepancy = found()
    proposal = f"{API}/discrepancies/{discrepancy.pk}/reconciliations"
    wish = {"taker": "new", "reason": "its copy was lost"}

    assert viewer.post(proposal, wish, format="json").status_code == 403
    assert qa.post(proposal, {"taker": "moon"}, format="json").json()["errors"][0]["field"] == "taker"
    made = qa.post(proposal, wish, format="json").json()
    assert not LegacyRow.objects.exists()
    assert qa.post(proposal, wish, format="json").status_code == 409
    review = f"{API}/reconciliations/{made['id']}/review"
    assert viewer.post(review, {"approve": True}, format="json").status_code == 403
    refused = qa.post(review, {"approve": True}, format="json")
    assert (refused.status_code, "somebody else" in refused.json()["detail"]) == (409, True)
    assert not LegacyRow.objects.exists()

    done = lead.post(review, {"approve": True}, format="json").json()

    assert (done["state"], done["failure"]) == ("applied", "")
    assert integrity.check().is_whole
    discrepancy.refresh_from_db()
    assert discrepancy.state == "fixed"
    robot = Robot.objects.get()
    assert (robot.robot_id, robot.status, robot.last_acknowledged_as_owner_at) == ("Lekiwi_1", "deploying", None)
    told = list(AuditEntry.objects.order_by("sequence").values_list("actor", "action"))
    assert told == [
        ("qa", "reconciliation_proposed"),
        ("migration_lead", "reconciliation_approved"),
        ("migration_lead", "reconciliation_applied"),
    ]
    assert audit.verify() == []
    rebuild_state()
    assert integrity.check().is_whole, "what was reconciled stands in the log, so a rebuild keeps it"


def test_altered_values_are_put_right_from_legacy_unless_they_changed_after_the_review(both):
    legacys = row("Lekiwi_1", seconds_ago=3)
    put(both, [legacys])
    taking.new_takes_row(legacys, None)
    LegacyRow.objects.update(status="failed")
    qa, lead = as_person(Role.QA), as_person(Role.MIGRATION_LEAD)
    discrepancy = Discrepancy.objects.filter(subject="row")
    integrity.check()
    proposal = f"{API}/discrepancies/{discrepancy.get().pk}/reconciliations"
    wish = {"taker": "new", "reason": "altered by hand"}

    first = qa.post(proposal, wish, format="json").json()["id"]
    LegacyRow.objects.update(status="success")
    void = lead.post(f"{API}/reconciliations/{first}/review", {"approve": True}, format="json").json()
    assert void["state"] == "void"
    assert "legacy 'idle', new 'success'" in void["failure"]
    assert LegacyRow.objects.get().status == "success"

    integrity.check()
    second = qa.post(proposal, wish, format="json").json()["id"]
    assert (
        lead.post(f"{API}/reconciliations/{second}/review", {"approve": True}, format="json").json()["state"]
        == "applied"
    )
    assert LegacyRow.objects.get().status == "idle"


def test_a_silent_robot_is_not_made_to_look_alive_in_legacy_and_a_live_one_is_told(both, settings):
    settings.ROBOT_INTERVAL_SECONDS = 1
    taking.new_takes_row(row("silent", seconds_ago=600), None)
    taking.new_takes_row(row("alive"), None)
    integrity.check()
    qa, lead = as_person(Role.QA), as_person(Role.MIGRATION_LEAD)
    became = {}
    for one in Discrepancy.objects.filter(subject="row"):
        path = f"{API}/discrepancies/{one.pk}/reconciliations"
        made = qa.post(path, {"taker": "legacy", "reason": "legacy was restarted"}, format="json").json()["id"]
        done = lead.post(f"{API}/reconciliations/{made}/review", {"approve": True}, format="json").json()
        became[one.robot_id] = (done["state"], done["failure"])

    assert became["alive"] == ("applied", "")
    assert became["silent"][0] == "failed"
    assert "as if it were alive" in became["silent"][1]
    assert [each["robot_id"] for each in httpx.get(f"{both}/api/robots").json()] == ["alive"]


def test_legacy_takes_the_row_of_a_robot_that_rests_between_two_heartbeats(both):
    taking.new_takes_row(row("Lekiwi_1", status="deploying", seconds_ago=2.9), None)
    qa, lead = as_person(Role.QA), as_person(Role.MIGRATION_LEAD)
    proposal = f"{API}/discrepancies/{found().pk}/reconciliations"
    made = qa.post(proposal, {"taker": "legacy", "reason": "legacy lost it"}, format="json").json()["id"]

    done = lead.post(f"{API}/reconciliations/{made}/review", {"approve": True}, format="json").json()

    assert (done["state"], done["failure"]) == ("applied", "")
    assert integrity.check().is_whole


def test_a_newer_row_of_new_is_never_overwritten_by_a_stale_one_of_legacy(both):
    taking.new_takes_row(row("Lekiwi_1", status="success"), None)
    put(both, [row("Lekiwi_1", seconds_ago=60)])
    integrity.check()
    one = Discrepancy.objects.get(field="status")
    qa, lead = as_person(Role.QA), as_person(Role.MIGRATION_LEAD)

    path = f"{API}/discrepancies/{one.pk}/reconciliations"
    made = qa.post(path, {"taker": "new", "reason": "x"}, format="json").json()["id"]
    done = lead.post(f"{API}/reconciliations/{made}/review", {"approve": True}, format="json").json()

    assert (done["state"], "later than legacy" in done["failure"]) == ("failed", True)
    assert LegacyRow.objects.get().status == "success"


def test_the_command_says_what_differs_proposes_with_fix_and_applies_only_what_was_approved(both, capsys):
    put(both, [row("Lekiwi_1"), row("Lekiwi_2")])

    with pytest.raises(CommandError, match="2 differences in 2 rows") as different:
        call_command("data_integrity_check", fix=True)

    assert different.value.returncode == 1
    assert "2 reconciliations wait for a review" in capsys.readouterr().out
    assert not LegacyRow.objects.exists()
    one = Reconciliation.objects.get(discrepancy__robot_id="Lekiwi_1")
    one.approve("migration_lead", one.proposed_at + timedelta(seconds=1))
    one.save()

    with pytest.raises(CommandError, match="1 differences in 2 rows"):
        call_command("data_integrity_check", fix=True)

    assert "Lekiwi_1: applied: both systems were read equal" in capsys.readouterr().out
    assert [each.robot_id for each in LegacyRow.objects.all()] == ["Lekiwi_1"]
    assert Reconciliation.objects.filter(state="proposed").count() == 1


def test_the_command_says_when_a_system_cannot_be_read(both, settings, free_port):
    settings.LEGACY_URL = f"http://127.0.0.1:{free_port}"

    with pytest.raises(CommandError, match="legacy could not be read") as unread:
        call_command("data_integrity_check")

    assert unread.value.returncode == 4
    assert Comparison.objects.get().failure


def test_an_explanation_needs_words_and_a_confirmed_difference(both):
    put(both, [row("Lekiwi_1")])
    qa = as_person(Role.QA)
    path = f"{API}/discrepancies/{found().pk}"

    assert (
        qa.post(f"{path}/explanation", {"explanation": " "}, format="json").json()["errors"][0]["field"]
        == "explanation"
    )
    told = qa.post(f"{path}/explanation", {"explanation": "a test bench"}, format="json").json()
    assert (told["state"], told["explained_by"]) == ("explained", "qa")
    assert qa.get(path).json()["explanation"] == "a test bench"
    assert qa.get(f"{API}/discrepancies", {"state": "explained"}).json()["results"][0]["robot_id"] == "Lekiwi_1"
    assert qa.get(f"{API}/discrepancies", {"state": "lost"}).status_code == 400
    assert qa.post(f"{API}/discrepancies/999/explanation", {"explanation": "x"}, format="json").status_code == 409
    integrity.check()
    assert qa.get(f"{API}/consistency").json()["explained"] == 1
    figures = qa.get("/metrics").content.decode()
    assert 'lekiwi_validation_consistency_ratio{kind="unknown",site=""} 0.0' in figures
    assert 'lekiwi_validation_discrepancies{state="explained"} 1.0' in figures
