"""The page of rollbacks: what was measured, what the automation may do, and who may change it."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from migration import guarding, rolling_back
from migration.actors import Actor
from migration.drivers import watch_file
from migration.models import Rehearsal, Rollback
from migration.rules.voting import Role
from tests.builders import person
from tests.migration.installation import door, in_phase, installation  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("installation")]

HTMX = {"HX-Request": "true"}
PAGE = "/migration/rollback/"


@pytest.fixture(autouse=True)
def untouched(installation):
    yield
    (installation.file.directory / watch_file.NAME).unlink(missing_ok=True)


def page_of(role: Role | None) -> Client:
    client = Client(headers=HTMX)
    client.force_login(person(role))
    return client


def test_the_page_shows_the_measured_time_beside_both_budgets_and_the_track(installation):
    in_phase(installation, "canary_10")
    record = rolling_back.roll_back("previous", reason="motor faults", actor=Actor("lead"))
    rolling_back.record_now()

    html = page_of(None).get(PAGE).content.decode()

    assert "Rolled back and confirmed: 10\u00a0% → 0\u00a0%" in html
    assert f"{record.seconds:.2f}\u00a0s" in html
    for told in ("ours 1\u00a0s", "promised 2\u00a0min", "front-a acknowledged", "observed: every probe obeys"):
        assert told in html
    assert page_of(Role.QA).get(f"{PAGE}{Rollback.objects.get().pk}/facts/").status_code == 200


def test_before_the_first_rollback_nothing_is_claimed(installation):
    in_phase(installation, "shadow")

    html = page_of(None).get(PAGE).content.decode()

    assert "Nothing was rolled back yet" in html
    assert "the way back is not rehearsed here: waived by a setting" in html


def test_a_viewer_sees_no_form_and_gets_403(installation):
    in_phase(installation, "canary_10")
    viewer = page_of(None)

    assert "<form" not in viewer.get(PAGE).content.decode().partition('id="guard-forms"')[2].partition("<dialog")[0]
    for name in ("rules", "automation", "rehearsals", "restores", "corruption"):
        assert viewer.post(reverse(f"dashboard:guard-{name}"), {"reason": "x"}).status_code == 403
    assert not Rollback.objects.exists()


def test_the_lead_sets_a_rule_switches_the_automation_and_rehearses(installation):
    in_phase(installation, "canary_10")
    lead = page_of(Role.MIGRATION_LEAD)

    sent = {"rule": "slow", "mode": "observe", "reason": "index build"}
    told = lead.post(reverse("dashboard:guard-rules"), sent)
    off = lead.post(reverse("dashboard:guard-automation"), {"on": "false", "reason": "planned work"})
    rehearsed = lead.post(reverse("dashboard:guard-rehearsals"))

    assert json.loads(told["HX-Trigger"])["cockpit:done"]["sentence"] == "p99 above 500 ms: observe."
    assert "Switch all of them on" in off.content.decode()
    assert not guarding.in_force().is_on
    assert "Way back proven in" in json.loads(rehearsed["HX-Trigger"])["cockpit:done"]["sentence"]
    assert Rehearsal.objects.get().asked_by == "migration_lead"
    assert "the automation is switched off" in lead.get(f"{PAGE}facts/").content.decode()


def test_a_missing_reason_and_a_refusal_are_told_at_the_form_with_what_was_typed(installation):
    in_phase(installation, "canary_10")
    lead = page_of(Role.MIGRATION_LEAD)

    missing = lead.post(reverse("dashboard:guard-rules"), {"rule": "slow", "mode": "hold", "reason": ""})
    refused = lead.post(reverse("dashboard:guard-restores"), {"reason": "rows are wrong", "until": ""})

    assert missing.status_code == refused.status_code == 422
    assert "Say why, in a few words." in missing.content.decode()
    assert "roll back with data_corruption first" in refused.content.decode()
    assert 'value="rows are wrong"' in refused.content.decode()


def test_corrupt_data_takes_every_robot_to_legacy_from_the_page(installation):
    in_phase(installation, "rollout_25")

    done = page_of(Role.BACKEND).post(reverse("dashboard:guard-corruption"), {"reason": "rows are gone"})

    assert "Rolled back to 0 %" in json.loads(done["HX-Trigger"])["cockpit:done"]["sentence"]
    assert installation.file.read().plan.latched
    assert Rollback.objects.get().rule == "data_corruption"
