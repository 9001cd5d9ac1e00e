"""The pages of alerts, audit log and report."""

import socket
import time
from datetime import timedelta

import pytest
from django.test import Client
from playwright.sync_api import expect

from migration import alerting, audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.models import Alert, Delivery, Escalation
from migration.notifying.running import Notifier
from migration.rules.voting import Role
from tests.builders import person
from tests.dashboard.browsing import PATIENCE_MS, pages, state  # noqa: F401 - a fixture
from tests.dashboard.test_pages import complaints_of_axe
from tests.migration.receiver import receiving

HTMX = {"HX-Request": "true"}


def page_of(role: Role | None) -> Client:
    client = Client(headers=HTMX)
    client.force_login(person(role))
    return client


def critical() -> Alert:
    now = system_clock().now()
    alerting.tell("new", "new: 2 of 100 <requests> failed", severity="critical", at=now - timedelta(minutes=6))
    alert = Alert.objects.get()
    Escalation.objects.create(alert=alert, step=0, who="on_call", told_at=now)
    return alert


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("runbook", "shown"),
    [
        ("https://wiki.example/new", '<a href="https://wiki.example/new" rel="noreferrer">Runbook</a>'),
        ("docs/rollback.md", "Runbook: docs/rollback.md"),
        ("javascript:alert(1)", "Runbook: javascript:alert(1)"),
    ],
)
def test_a_runbook_is_a_link_only_where_a_browser_can_follow_it(canary, runbook, shown):
    critical()
    Alert.objects.update(runbook=runbook)

    html = page_of(None).get("/migration/alerts/").content.decode()

    assert shown in html
    assert html.count("Runbook") == 1


@pytest.mark.django_db
def test_an_operator_takes_an_alert_and_everybody_sees_who_has_it(canary):
    alert = critical()
    client = page_of(Role.ON_CALL)
    html = client.get("/migration/alerts/").content.decode()
    assert "new: 2 of 100 &lt;requests&gt; failed" in html
    assert "Told: On call" in html
    assert "Next: on-call at" in html

    answer = client.post(f"/migration/alerts/{alert.pk}/acknowledgements/", {"comment": "looking"})

    assert "You have “new”" in answer["HX-Trigger"] or "You have" in answer["HX-Trigger"]
    assert "on_call has it since" in answer.content.decode()
    assert client.post(f"/migration/alerts/{alert.pk}/acknowledgements/").status_code == 422
    assert "on_call has it" in client.get("/").content.decode()


@pytest.mark.django_db
def test_a_viewer_sees_no_enabled_button_on_the_alerts_and_gets_403(canary):
    alert = critical()
    now = system_clock().now()
    failed = Delivery.objects.create(
        destination="chat:status", state="failed", failure="answered 404", created_at=now, due_at=now
    )
    viewer = page_of(None)
    html = viewer.get("/migration/alerts/").content.decode()

    assert "hx-post" not in html
    assert 'aria-disabled="true" data-why="Your login may watch, not acknowledge."' in html
    assert viewer.post(f"/migration/alerts/{alert.pk}/acknowledgements/").status_code == 403
    assert viewer.post(f"/migration/alerts/deliveries/{failed.pk}/retries/").status_code == 403
    assert Alert.objects.get().acknowledged_at is None


@pytest.mark.django_db
def test_a_message_that_was_given_up_is_shown_with_the_reason_and_sent_again(canary):
    now = system_clock().now()
    failed = Delivery.objects.create(
        destination="chat:status", state="failed", failure="answered 404", created_at=now, due_at=now
    )
    client = page_of(Role.ON_CALL)
    assert "answered 404" in client.get("/migration/alerts/list/").content.decode()

    assert client.post(f"/migration/alerts/deliveries/{failed.pk}/retries/").status_code == 200
    assert Delivery.objects.get().state == "waiting"


@pytest.mark.django_db
def test_the_page_of_the_log_shows_who_what_why_before_and_after(canary, django_capture_on_commit_callbacks):
    assert Client().get("/migration/audit/").status_code == 302
    with django_capture_on_commit_callbacks(execute=True):
        audit.record(
            Actor("anna"),
            "vote",
            "voted go",
            at=system_clock().now(),
            why="looks <good>",
            before={"choice": "abstain"},
            after={"choice": "go"},
        )
    client = page_of(Role.QA)

    html = client.get("/migration/audit/", {"q": "looks"}).content.decode()

    assert "looks &lt;good&gt;" in html
    assert "choice: abstain" in html
    assert "the chain is whole" in client.get("/migration/audit/proof/").content.decode()
    assert b"".join(client.get("/migration/audit/export/", {"format": "csv"})).startswith(b"sequence")
    assert client.get("/migration/audit/", {"since": "soon"}).status_code == 422


@pytest.mark.django_db
def test_the_report_page_shows_every_criterion_and_gives_it_as_a_file(canary):
    client = page_of(Role.QA)

    html = client.get("/migration/report/").content.decode()

    assert html.count('<span class="st wait"><b>inconclusive</b>') >= 8
    assert client.get("/migration/report/", {"format": "json"}).json()["verdict"] == "inconclusive"
    assert "<!doctype html>" in client.get("/migration/report/", {"format": "html"}).content.decode()
    assert "samples are kept" in client.get("/migration/report/replay/", {"run": canary.pk}).content.decode()


def test_a_receiver_that_never_answers_delays_only_what_goes_to_it(committed_db, settings):
    settings.NOTIFY_GROUP_SECONDS = 0
    with receiving() as receiver, socket.create_server(("127.0.0.1", 0)) as silent:
        settings.NOTIFY_STATUS_WEBHOOK = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        settings.NOTIFY_ALERTS_WEBHOOK = receiver.url
        notifier = Notifier()
        notifier.tick()
        audit.record(Actor("lead"), "rollback", "rolled back 10 → 0 %", at=system_clock().now())
        deadline = time.monotonic() + 20
        while not receiver.got and time.monotonic() < deadline:
            notifier.tick()
            time.sleep(0.05)

        assert "rolled back 10 → 0 %" in receiver.texts[0]
        assert Delivery.objects.get(destination="chat:status").state == "waiting"
        assert "lekiwi_migration_deliveries" in Client().get("/metrics").content.decode()
        silent.close()
        notifier._pool.shutdown(wait=True)


@pytest.mark.browser
def test_the_pages_of_the_record_work_on_a_phone_by_keyboard_and_have_no_barrier(pages):
    critical()
    page, _ = pages(Role.ON_CALL, "/migration/alerts/", viewport={"width": 390, "height": 844})
    state(page, "live")

    page.get_by_test_id("acknowledge").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("open-alert")).to_contain_text("on_call has it since", timeout=PATIENCE_MS)
    alerting.is_over("new", at=system_clock().now())
    expect(page.get_by_test_id("alerts-list")).to_contain_text("none open", timeout=PATIENCE_MS)
    assert complaints_of_axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390

    for path, button, told in (("audit", "prove", "the chain is whole"), ("report", "", "")):
        page.goto(f"{page.url.partition('/migration')[0]}/migration/{path}/")
        state(page, "live")
        if button:
            page.get_by_test_id(button).click()
            expect(page.get_by_test_id("audit-proof")).to_contain_text(told, timeout=PATIENCE_MS)
        assert complaints_of_axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == 390
