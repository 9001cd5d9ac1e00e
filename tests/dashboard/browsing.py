"""The pages in a real browser, on a wire that a test can cut."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from playwright.sync_api import Page, Route, WebSocketRoute, expect, sync_playwright

from migration.models import PhaseRun
from migration.rules.voting import Role
from tests.builders import person
from tests.dashboard.serving import served

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
