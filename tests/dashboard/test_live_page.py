"""The page in a real browser: what it says when its feed is there, silent, gone and back."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, Route, WebSocketRoute, expect, sync_playwright

from heartbeat.models import Robot
from migration.models import GateResult, PhaseRun, Vote
from migration.rules.voting import Role
from tests.builders import heard_robot, person, phase_run
from tests.dashboard.serving import served

pytestmark = pytest.mark.browser

SOCKET = "**/ws/views/**"
POLL = "**/frames/**"
PATIENCE_MS = 20_000


class Wire:
    """What lies between the page and its server: the test can cut it."""

    def __init__(self) -> None:
        self.is_silent = False
        self.polls: str = "answered"
        self.sockets: list[WebSocketRoute] = []
        self.polled = 0

    def socket(self, page_side: WebSocketRoute) -> None:
        """Pass the server's frames on, unless the wire is silent."""
        self.sockets.append(page_side)
        server_side = page_side.connect_to_server()
        server_side.on_message(lambda text: None if self.is_silent else page_side.send(text))

    def poll(self, route: Route) -> None:
        """Answer, refuse, or leave a poll hanging."""
        self.polled += 1
        if self.polls == "answered":
            route.continue_()
        elif self.polls == "refused":
            route.abort()


Open = Callable[..., tuple[Page, Wire]]
AXE = (Path(__file__).resolve().parents[1] / "vendor" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture
def pages(committed_db: None, canary: PhaseRun, chromium: str, monkeypatch: Any) -> Iterator[Open]:
    """Open the page as somebody with a role; every complaint of the browser fails the test."""
    # Playwright's synchronous interface runs a loop in this thread, which Django would take for asynchronous code
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    complaints: list[str] = []
    with served() as url, _browser(chromium) as browser:

        def open_page(role: Role | None, path: str = "/", **how: Any) -> tuple[Page, Wire]:
            client = Client()
            client.force_login(person(role))
            context = browser.new_context(**how)
            context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": url}])
            page, wire = context.new_page(), Wire()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda message: complaints.append(message.text) if _is_ours(message.text) else None)
            page.route_web_socket(SOCKET, wire.socket)
            page.route(POLL, wire.poll)
            page.goto(f"{url}{path}")
            return page, wire

        yield open_page
        connections.close_all()  # while Playwright's loop is there: the connection belongs to it
    assert complaints == []


@contextmanager
def _browser(path: str) -> Iterator[Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def _is_ours(text: str) -> bool:
    """Policy violations and errors of our scripts, not a network failure that the test itself made."""
    return "Content Security Policy" in text or "Error:" in text


def state(page: Page, wanted: str) -> None:
    expect(page.locator("html")).to_have_attribute("data-feed-state", wanted, timeout=PATIENCE_MS)


def test_the_page_is_live_and_moves_without_a_reload(pages):
    page, _ = pages(Role.BACKEND)
    page.evaluate("window.unchanged = true")

    state(page, "live")
    expect(page.get_by_test_id("phase")).to_contain_text("Canary 10 %")
    PhaseRun.objects.filter(state="active").update(slug="rollout_25")

    expect(page.get_by_test_id("phase")).to_contain_text("Rollout 25 %", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("advance")).to_have_text("Step to Rollout 50 %", timeout=PATIENCE_MS)
    assert page.evaluate("window.unchanged")


def test_a_silent_socket_is_noticed_polled_around_and_replaced(pages):
    page, wire = pages(Role.BACKEND)
    page.evaluate("window.unchanged = true")
    state(page, "live")
    first = len(wire.sockets)

    wire.is_silent = True
    state(page, "polling")
    expect(page.get_by_test_id("banner-polling")).to_be_visible()
    expect(page.locator("#feed-word")).to_have_text("Polling")
    assert wire.polled
    assert page.locator("html").get_attribute("data-feed") == "live"

    wire.is_silent = False
    state(page, "live")
    expect(page.get_by_test_id("banner-polling")).to_be_hidden()
    assert len(wire.sockets) > first
    assert page.evaluate("window.unchanged")


def test_figures_that_nothing_renews_turn_grey_and_say_from_when_they_are(pages):
    page, wire = pages(Role.BACKEND)
    state(page, "live")

    wire.polls = "hanging"
    wire.is_silent = True
    state(page, "stale")

    expect(page.locator("html")).to_have_attribute("data-feed", "stale")
    expect(page.get_by_test_id("banner-stale")).to_be_visible()
    expect(page.locator(".asof").first).to_contain_text("as of")
    assert "grayscale" in page.locator("#bar-split").evaluate("element => getComputedStyle(element).filter")


def test_a_site_that_is_gone_leaves_the_command_that_works_without_it(pages):
    page, wire = pages(Role.BACKEND)
    state(page, "live")

    wire.polls = "refused"
    wire.is_silent = True
    state(page, "disconnected")
    banner = page.get_by_test_id("banner-disconnected")
    expect(banner).to_be_visible()
    expect(banner).to_contain_text('manage.py universal_rollback emergency "reason" --yes')

    wire.polls = "answered"
    wire.is_silent = False
    state(page, "live")
    expect(banner).to_be_hidden()


def test_a_socket_that_was_closed_normally_is_opened_again(pages):
    page, wire = pages(Role.BACKEND)
    state(page, "live")
    first = len(wire.sockets)

    wire.sockets[-1].close(code=1000)

    _until(page, lambda: len(wire.sockets) > first)
    state(page, "live")


def test_an_opened_drawer_and_a_pressed_filter_survive_new_frames(pages):
    run = PhaseRun.objects.get()
    result = GateResult.objects.create(
        run=run, gate="stability", verdict="pass", sentence="calm", since=run.started_at, judged_at=run.started_at
    )
    page, _ = pages(Role.BACKEND)
    state(page, "live")
    page.locator("[data-filter=silent]").click()
    page.get_by_test_id("gate-stability").locator("summary").click()

    GateResult.objects.filter(pk=result.pk).update(sentence="calm for a while")

    expect(page.get_by_test_id("gate-stability")).to_contain_text("calm for a while", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("gate-stability")).to_have_attribute("open", "")
    expect(page.locator("[data-filter=silent]")).to_have_attribute("aria-pressed", "true")


def test_a_vote_is_cast_without_a_reload(pages):
    page, _ = pages(Role.QA)
    state(page, "live")
    page.evaluate("window.unchanged = true")

    page.get_by_test_id("vote-go").check()
    page.locator("#vote-comment").fill("looked at 40 robots")
    page.get_by_test_id("cast-vote").click()

    expect(page.get_by_test_id("toasts")).to_contain_text("Your go is recorded.", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("vote-qa")).to_contain_text("looked at 40 robots", timeout=PATIENCE_MS)
    assert Vote.objects.get().role == Role.QA
    assert page.evaluate("window.unchanged")


def test_a_new_phase_asks_for_a_new_vote_with_nothing_chosen(pages, canary):
    page, _ = pages(Role.QA)
    state(page, "live")
    page.get_by_test_id("vote-go").check()

    canary.complete(timezone.now())
    canary.save()
    phase_run("rollout_25", build=canary.build)

    expect(page.get_by_test_id("phase")).to_contain_text("Rollout 25 %", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("vote-go")).not_to_be_checked(timeout=PATIENCE_MS)


def test_a_rollback_needs_two_clicks_and_a_reason(pages):
    page, _ = pages(Role.ON_CALL)
    state(page, "live")

    page.get_by_test_id("open-rollback").click()
    page.get_by_test_id("rollback-submit").click()
    expect(page.locator("#rollback-problem")).to_have_text("Say why, in a few words.")
    page.get_by_test_id("rollback-reason").fill("new is slow")
    page.get_by_test_id("rollback-submit").click()

    expect(page.get_by_test_id("toasts")).to_contain_text("Not confirmed: front-a", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("split-asked")).to_have_text("0\u00a0%", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("rollback-dialog")).to_be_hidden()


def test_an_emergency_is_held_and_not_clicked(pages):
    page, _ = pages(Role.ON_CALL)
    state(page, "live")
    page.get_by_test_id("open-rollback").click()
    page.get_by_test_id("rollback-emergency").check()
    page.get_by_test_id("rollback-reason").fill("new answers 500")

    page.get_by_test_id("rollback-emergency").press("Enter")
    page.get_by_test_id("rollback-hold").click()
    expect(page.get_by_test_id("rollback-dialog")).to_be_visible()
    expect(page.get_by_test_id("banner-latch")).to_be_hidden()
    page.get_by_test_id("rollback-hold").click(delay=1700)

    expect(page.get_by_test_id("banner-latch")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("banner-latch")).to_contain_text("new answers 500")


def test_a_viewer_watches_a_live_page_and_is_told_why_a_button_is_locked(pages):
    page, _ = pages(None)
    state(page, "live")

    page.get_by_test_id("open-rollback").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_test_id("toasts")).to_contain_text("Your login may watch, not roll back.")
    expect(page.get_by_test_id("rollback-dialog")).to_be_hidden()


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


def _until(page: Page, holds: Callable[[], bool]) -> None:
    """Let the browser go on until something holds."""
    for _ in range(PATIENCE_MS // 50):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it never came to hold")
