"""The checklist, backups and contacts as a person uses them: keyboard, phone, and what axe-core finds."""

import pytest
from playwright.sync_api import expect

from migration.actors import Actor
from migration.checklist import running
from migration.models import SignOff
from migration.rules.voting import Role
from tests.builders import verified_backup
from tests.dashboard.browsing import PATIENCE_MS, pages  # noqa: F401 - a fixture
from tests.dashboard.test_pages import complaints_of_axe

pytestmark = pytest.mark.browser


def test_a_point_is_signed_by_keyboard_and_the_pages_work_on_a_phone(pages, tmp_path):
    running.run(["python", "durability"], actor=Actor("lead"))
    verified_backup(tmp_path)
    page, _ = pages(Role.QA, "/migration/checklist/")
    mine = page.get_by_test_id("sign-runbooks")
    expect(mine).to_contain_text("open")

    mine.get_by_role("button").press("Enter")
    expect(page.get_by_label("What you have seen")).to_be_focused()
    page.get_by_role("button", name="Sign", exact=True).press("Enter")
    expect(page.get_by_role("alert").filter(has_text="Say what you have made sure of")).to_be_visible()
    page.get_by_label("What you have seen").fill("read on Monday")
    page.get_by_role("button", name="Sign", exact=True).press("Enter")

    expect(mine).to_contain_text("qa: read on Monday", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("toasts")).to_contain_text("Signed as QA.")
    assert complaints_of_axe(page) == []
    SignOff.objects.all().delete()
    expect(mine).to_contain_text("not signed by QA yet", timeout=PATIENCE_MS)

    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("checklist", "backups", "contacts"):
        page.goto(f"{page.url.partition('/migration')[0]}/migration/{path}/")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, path
        assert complaints_of_axe(page) == [], path
