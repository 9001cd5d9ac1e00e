"""The page of sync: what it says, who may order, and that it lives."""

from datetime import UTC, datetime

import pytest
from django.test import Client
from playwright.sync_api import expect

from migration.models import MatchEntry, QuarantinedRow, SyncRun, SyncState, SyncTuning
from migration.rules.voting import Role
from tests.builders import heard_robot, person, synced
from tests.dashboard.browsing import PATIENCE_MS, pages, state  # noqa: F401 - a fixture
from tests.dashboard.test_pages import complaints_of_axe

PAGE = "/migration/sync/"


def signed_in(role: Role | None) -> Client:
    client = Client()
    client.force_login(person(role))
    return client


def waiting_row() -> None:
    now = datetime.now(UTC)
    QuarantinedRow.objects.create(source="robots", name="R<1>", reason="no status", first_at=now, tried_at=now)


@pytest.mark.usefixtures("canary")
def test_the_page_says_what_is_known_and_never_a_wish():
    client = signed_in(Role.BACKEND)
    assert "sync has not looked at legacy yet" in client.get(PAGE).content.decode().lower()
    waiting_row()
    synced(throttled_by="legacy takes 0.60 s to list its rows: read every 2.4 s", absent=["Lekiwi_9"], absent_count=1)
    SyncRun.objects.create(asked_by="x", started_at=datetime.now(UTC), progress_at=datetime.now(UTC), rows=10, done=4)

    page = client.get(f"{PAGE}figures/").content.decode()

    assert "Unguarded: sync has never run" in page
    assert "The way back is whole" in page
    assert "Throttled by legacy takes 0.60 s" in page
    assert "R&lt;1&gt;" in page
    assert "Lekiwi_9" in page
    assert "4 of 10 rows" in page


@pytest.mark.usefixtures("canary")
def test_a_viewer_has_no_enabled_button_and_is_refused():
    viewer = signed_in(None)

    assert "<form" not in viewer.get(PAGE).content.decode().partition('id="sync-orders"')[2].partition("<dialog")[0]
    for what in ("runs", "tunings", "matches"):
        assert viewer.post(f"{PAGE}{what}/").status_code == 403
    assert not SyncRun.objects.exists()


@pytest.mark.usefixtures("canary")
def test_what_makes_no_sense_is_said_beside_its_form_and_changes_nothing():
    backend = signed_in(Role.BACKEND)
    tuned = {"interval_seconds": "0.5", "calls_per_second": "100", "batch_size": "500"}

    for change, said in (({"calls_per_second": "0"}, "calls per second"), ({}, "Say why, in a few words.")):
        answer = backend.post(f"{PAGE}tunings/", tuned | {"reason": "x" if change else ""} | change)
        assert answer.status_code == 422
        assert said in answer.content.decode()
    assert not SyncTuning.objects.exists()
    assert backend.post(f"{PAGE}tunings/", tuned | {"reason": "busy", "paused": "on"}).status_code == 200
    assert SyncTuning.objects.get().paused
    nobody = {"address": "192.168.88.9", "robot_id": "nobody", "reason": "x"}
    assert "No robot is known as" in backend.post(f"{PAGE}matches/", nobody).content.decode()


@pytest.mark.browser
def test_the_page_lives_takes_orders_and_holds_on_a_phone(pages):
    heard_robot("Lekiwi_1")
    waiting_row()
    MatchEntry.objects.create(address="192.168.88.9", reason="ambiguous: 2 ids end in 0009", hostname="lekiwi_0009")
    synced()
    page, _ = pages(Role.BACKEND, PAGE)
    state(page, "live")
    expect(page.get_by_test_id("quarantine")).to_contain_text("no status")

    SyncState.objects.update(throttled_by="paused by an operator")
    expect(page.get_by_test_id("throttled-by")).to_contain_text("paused by an operator", timeout=PATIENCE_MS)
    page.locator("#match-address").fill("192.168.88.9")
    page.locator("#match-robot").fill("lekiwi_1")
    page.locator("#match-why").fill("at the bench")
    page.get_by_test_id("match-address").click()
    expect(page.get_by_test_id("toasts")).to_contain_text("192.168.88.9 is Lekiwi_1", timeout=PATIENCE_MS)
    page.get_by_test_id("full-sync").click()
    expect(page.get_by_test_id("sync-run")).to_be_visible(timeout=PATIENCE_MS)
    assert complaints_of_axe(page) == []

    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert complaints_of_axe(page) == []
