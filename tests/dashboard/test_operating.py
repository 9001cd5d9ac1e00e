"""The page of operation in a real browser."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from heartbeat.rules.identity import key_of
from teleop.models import QualitySample, RobotOperation, Session
from tests.builders import heard_robot
from tests.dashboard.browsing import PATIENCE_MS, pages, state  # noqa: F401 - a fixture
from tests.dashboard.test_pages import complaints_of_axe

pytestmark = pytest.mark.browser


def test_who_drives_what_is_alive_and_has_no_complaints(pages):
    heard_robot("Lekiwi_1")
    now = timezone.now()
    began = now - timedelta(seconds=40)
    opened = Session.objects.create(
        robot_key=key_of("Lekiwi_1"), robot_id="Lekiwi_1", state="active", driver="human", operators=["ada"],
        began_at=began, began_known_at=began, confidence=0.99,
    )  # fmt: skip
    QualitySample.objects.create(session=opened, at=now, latency_ms=140.0, fps=9.0)
    RobotOperation.objects.create(
        robot_key=key_of("Lekiwi_1"), robot_id="Lekiwi_1", state="active", since=began, basis="signals",
        confidence=0.99, because="a command 20 ms ago", session_id=opened.pk, driver="human", operators=["ada"],
        latency_ms=140.0, updated_at=now,
    )  # fmt: skip
    page, _ = pages(None, "/teleop/")
    state(page, "live")

    expect(page.get_by_test_id("driven")).to_contain_text("latency 140 ms of 100", timeout=PATIENCE_MS)
    assert complaints_of_axe(page) == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= 390")
    RobotOperation.objects.update(state="host_ready", session_id=None)
    expect(page.get_by_test_id("teleop-now")).to_contain_text("Nobody drives a robot now", timeout=PATIENCE_MS)
