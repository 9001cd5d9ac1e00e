"""The pages of the discrepancies."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from dashboard.live.sources import sources
from migration.models import Comparison, Discrepancy, Reconciliation
from migration.rules.voting import Role
from tests.builders import person
from tests.dashboard.browsing import pages, state  # noqa: F401
from tests.dashboard.test_pages import complaints_of_axe

HTMX = {"HX-Request": "true"}
PATIENCE_MS = 20_000


def confirmed(robot_id: str = "Lekiwi_5A3F", **changes) -> Discrepancy:
    at = datetime.now(UTC) - timedelta(minutes=3)
    given = {"field": "status", "legacy": "failed", "new": "idle", "state": "confirmed"}
    given |= {"since": at, "read_at": at, "confirmed_at": at, **changes}
    return Discrepancy.objects.create(key=Discrepancy.key_of(robot_id), robot_id=robot_id, **given)


def compared(**changes) -> Comparison:
    cohorts = [{"kind": "lekiwi", "site": "a", "rows": 4, "equal": 3}]
    return Comparison.objects.create(
        **{"at": datetime.now(UTC), "rows": 4, "seconds": 0.1, "cohorts": cohorts, **changes}
    )


def client_of(role: Role | None) -> Client:
    client = Client(headers=HTMX)
    client.force_login(person(role))
    return client


def shown(name: str) -> str:
    return "".join(sources()["discrepancies"].look([name])[name].whole()["html"].values())


def test_the_page_shows_each_field_with_both_values_and_since_when_failures_first(canary):
    compared()
    confirmed("explained", state="explained", explanation="a bench")
    confirmed()
    confirmed("gone", state="settled", ended_at=datetime.now(UTC))

    html = client_of(None).get("/migration/discrepancies/").content.decode()

    rows = html[html.index("discrepancies-rows") :]
    assert rows.index("Lekiwi_5A3F") < rows.index(">explained<")
    assert "75.00\u00a0%" in html
    assert "&quot;failed&quot;" in html
    assert "settled by itself" in html


def test_no_comparison_and_a_failed_one_are_never_shown_as_100_percent(canary):
    assert "Nothing has been compared yet" in shown("discrepancies")
    compared(rows=0, cohorts=[], failure="legacy answered 500 to GET /api/robots")

    assert "legacy answered 500" in shown("discrepancies")
    assert "100.00" not in shown("discrepancies")


def test_values_are_shown_as_text_whatever_they_are(canary):
    one = confirmed("<b>x</b>", new="<script>alert(1)</script>\x00")

    assert "<script>" not in shown("discrepancies") + shown(f"discrepancies/{one.pk}")
    assert "&lt;b&gt;x&lt;/b&gt;" in shown("discrepancies")


def test_a_viewer_sees_no_button_and_may_do_nothing(canary):
    one, viewer = confirmed(), client_of(None)

    page = viewer.get(reverse("dashboard:discrepancy", args=[one.pk])).content.decode()

    actions = page[page.index('id="discrepancy-actions"') : page.index('id="history-title"')]
    assert "<button" not in actions
    assert "Your login watches" in actions
    for name in ("explanations", "reconciliations"):
        assert viewer.post(reverse(f"dashboard:discrepancy-{name}", args=[one.pk]), {"reason": "x"}).status_code == 403
    assert not Reconciliation.objects.exists()


def test_one_proposes_and_only_another_is_offered_the_approval(canary):
    one = confirmed()
    qa, lead = client_of(Role.QA), client_of(Role.MIGRATION_LEAD)
    propose = reverse("dashboard:discrepancy-reconciliations", args=[one.pk])

    refused = qa.post(propose, {"taker": "new", "reason": ""})
    assert (refused.status_code, "Say why" in refused.content.decode()) == (422, True)
    done = qa.post(propose, {"taker": "new", "reason": "its copy was lost"})
    assert "Somebody else has to review it" in json.loads(done["HX-Trigger"])["cockpit:done"]["sentence"]
    assert 'value="approve"' not in done.content.decode()
    assert 'value="approve"' in lead.get(reverse("dashboard:discrepancy", args=[one.pk])).content.decode()
    made = Reconciliation.objects.get()
    review = reverse("dashboard:discrepancy-review", args=[one.pk, made.pk])
    assert "somebody else" in qa.post(review, {"verdict": "approve"}).content.decode().lower()
    assert lead.post(review, {"verdict": "reject", "why": ""}).status_code == 422
    assert lead.post(review, {"verdict": "reject", "why": "legacy is wrong"}).status_code == 200
    made.refresh_from_db()
    assert (made.state, made.reviewed_by) == ("rejected", "migration_lead")
    elsewhere = reverse("dashboard:discrepancy-review", args=[confirmed("other").pk, made.pk])
    assert lead.post(elsewhere, {"verdict": "approve"}).status_code == 404


def test_an_approval_that_could_not_be_applied_says_so(canary):
    one = confirmed()
    made = Reconciliation.objects.create(
        discrepancy=one, taker="new", reason="x", proposed_by="qa", proposed_at=one.since, legacy="failed", new="idle"
    )

    done = client_of(Role.MIGRATION_LEAD).post(
        reverse("dashboard:discrepancy-review", args=[one.pk, made.pk]), {"verdict": "approve"}
    )

    assert json.loads(done["HX-Trigger"])["cockpit:done"]["sentence"].startswith("Legacy could not be read")
    made.refresh_from_db()
    assert made.state == "failed"


@pytest.mark.browser
def test_discrepancies_come_and_go_on_a_phone_without_a_barrier(pages):
    compared()
    one = confirmed()
    page, _ = pages(Role.QA, "/migration/discrepancies/", viewport={"width": 390, "height": 844})
    state(page, "live")

    expect(page.get_by_test_id("discrepancies")).to_contain_text("Lekiwi_5A3F")
    assert complaints_of_axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    confirmed("Lekiwi_NEW")
    expect(page.get_by_test_id("discrepancies")).to_contain_text("Lekiwi_NEW", timeout=PATIENCE_MS)

    page.get_by_role("link", name="Open Lekiwi_5A3F, status").click()
    page.get_by_label("new takes legacy's").check()
    page.get_by_label("Reason", exact=True).fill("its copy was lost")
    page.get_by_test_id("propose").click()
    expect(page.get_by_test_id("reconciliations")).to_contain_text("its copy was lost", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("toasts")).to_contain_text("Proposed")
    assert complaints_of_axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    one.refresh_from_db()
    assert one.state == "confirmed"
