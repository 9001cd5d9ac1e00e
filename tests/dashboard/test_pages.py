"""The pages of the robots in a real browser, and what axe-core finds on every page."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from heartbeat.models import Robot
from migration.rules.voting import Role
from tests.builders import heard_robot
from tests.dashboard.browsing import PATIENCE_MS, pages, state  # noqa: F401 - a fixture

pytestmark = pytest.mark.browser

AXE = (Path(__file__).resolve().parents[1] / "vendor" / "axe-core" / "axe.min.js").read_text()


def complaints_of_axe(page: Page) -> list[str]:
    """What axe-core finds wrong on the page; evaluated from outside, so that the page's policy stays in force."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run()")
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found["violations"]]


def test_the_table_of_all_robots_is_filtered_sorted_paged_and_alive(pages):
    for number in range(120):
        heard_robot(f"Lekiwi_{number:03d}", status="failed" if number == 77 else "idle", site=f"site-{number % 3}")
    page, _ = pages(None, "/fleet/")
    state(page, "live")
    rows = page.locator("#robots-rows tr")

    expect(rows).to_have_count(100, timeout=PATIENCE_MS)
    expect(rows.first).to_contain_text("Lekiwi_077")
    expect(page.get_by_test_id("robots-range")).to_have_text("1–100 of 120 robots")
    page.get_by_role("button", name="After").click()
    expect(page.get_by_test_id("robots-range")).to_have_text("101–120 of 120 robots")
    page.get_by_test_id("filter-site").select_option("site-1")
    page.get_by_test_id("filter-q").fill("_00")
    expect(rows).to_have_count(3)
    page.get_by_role("button", name="Robot", exact=True).click()
    page.get_by_role("button", name="Robot", exact=True).click()
    expect(rows.first).to_contain_text("Lekiwi_007")
    expect(page.get_by_role("columnheader", name="Robot")).to_have_attribute("aria-sort", "descending")
    assert page.url.endswith("/fleet/?site=site-1&q=_00&sort=id-down")

    Robot.objects.filter(robot_id="Lekiwi_004").update(status="updating")
    expect(rows.nth(1)).to_contain_text("updating", timeout=PATIENCE_MS)
    Robot.objects.filter(robot_id="Lekiwi_004").update(
        last_seen_at=timezone.now() - timedelta(hours=1), first_seen_at=timezone.now() - timedelta(hours=2)
    )
    expect(page.get_by_test_id("count-offline")).to_have_text("1", timeout=PATIENCE_MS)
    expect(rows.nth(1)).to_contain_text("1 h 00 min ago")
    assert complaints_of_axe(page) == []


def test_a_robots_page_says_who_serves_it_and_why_and_follows_it(pages):
    heard_robot("Lekiwi_1", interval_seconds=30, last_v2_at=timezone.now(), battery_percent=78)
    page, _ = pages(None, "/robots/lekiwi_1/", viewport={"width": 390, "height": 844})
    state(page, "live")

    expect(page.get_by_test_id("robot-state")).to_contain_text("Lekiwi_1")
    expect(page.get_by_test_id("robot-liveness")).to_have_text("online")
    expect(page.get_by_test_id("robot-why")).to_contain_text("Because bucket")
    expect(page.locator("time[data-ago]").first).to_have_text(re.compile(r"^\d+\.\d\ss$"))
    assert complaints_of_axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390

    Robot.objects.update(status="failed", battery_percent=12)
    expect(page.get_by_test_id("robot-state")).to_contain_text("failed", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("robot-telemetry")).to_contain_text("12")


def test_the_overview_has_no_barrier_that_axe_knows(pages):
    heard_robot()
    page, _ = pages(Role.ON_CALL)
    state(page, "live")
    page.get_by_test_id("as-table").click()
    expect(page.get_by_test_id("fleet-table")).to_contain_text("Lekiwi_1", timeout=PATIENCE_MS)

    assert complaints_of_axe(page) == []


def test_the_page_of_the_way_forward_pauses_foresees_and_has_no_barrier(pages):
    heard_robot()
    page, _ = pages(Role.MIGRATION_LEAD, "/migration/", viewport={"width": 390, "height": 844})
    state(page, "live")

    page.get_by_label("Reason (goes into the audit log)").first.fill("lunch")
    page.get_by_test_id("pause").click()
    expect(page.get_by_test_id("resume")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("pause")).to_have_count(0)
    expect(page.get_by_test_id("way")).to_contain_text("lunch", timeout=PATIENCE_MS)
    page.locator("#dry-to").select_option("full_100")
    page.get_by_test_id("foresee").click()
    expect(page.get_by_test_id("foreseen")).to_contain_text("of 1 robots to new", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("way")).to_contain_text("On watch: migration_lead", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("resume")).to_be_visible(timeout=PATIENCE_MS)
    assert complaints_of_axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
