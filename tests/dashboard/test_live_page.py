"""The page in a real browser: what it says when its feed is there, silent, gone and back."""

from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from migration.models import GateResult, PhaseRun, Vote
from migration.rules.voting import Role
from tests.builders import phase_run
from tests.dashboard.browsing import PATIENCE_MS, pages, state  # noqa: F401 - a fixture

pytestmark = pytest.mark.browser


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


def _until(page: Page, holds: Callable[[], bool]) -> None:
    """Let the browser go on until something holds."""
    for _ in range(PATIENCE_MS // 50):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it never came to hold")
