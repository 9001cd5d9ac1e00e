"""A server with views of its own, and browsers that watch them over real connections."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from websockets.sync.client import ClientConnection, connect

from dashboard.live.consumer import ViewsConsumer
from dashboard.live.hub import Hub
from dashboard.live.origin import AllowedOrigins
from dashboard.live.sessions import Sessions
from dashboard.live.view import MappingState
from tests.builders import person
from tests.dashboard.serving import served

QUICK = 0.02


class Figures:
    """A source of views `figures` and `figures/…`: a number that grows with every look, and what never changes."""

    def __init__(self) -> None:
        self.looks = 0
        self.broken = False
        self.filling = "same"

    def knows(self, name: str) -> bool:
        return name.startswith("figures")

    def look(self, names: list[str]) -> dict[str, MappingState]:
        self.looks += 1
        if self.broken:
            raise ConnectionError("the database does not answer\nDETAIL: none")
        state = MappingState(f"2026-11-24T03:12:44.{self.looks:06d}+00:00", data={"n": self.looks, "f": self.filling})
        return dict.fromkeys(names, state)


@dataclass
class Site:
    """A server under test and somebody who is signed in to it."""

    url: str
    figures: Figures
    hub: Hub
    cookie: str

    def open(self, *views: str, cookie: str | None = None, origin: str | None = None, **how: Any) -> ClientConnection:
        target = f"{self.url.replace('http', 'ws')}/ws/views/?{'&'.join(f'view={view}' for view in views)}"
        headers = {"Cookie": self.cookie if cookie is None else cookie}
        return connect(target, origin=origin or self.url, additional_headers=headers, max_size=None, **how)


def signed_in(user: User) -> str:
    client = Client()
    client.force_login(user)
    return f"sessionid={client.cookies['sessionid'].value}"


@pytest.fixture
def site(committed_db: None) -> Iterator[Site]:
    figures = Figures()
    hub = Hub({"figures": figures}, period_seconds=QUICK)
    consumer = ViewsConsumer(hub, Sessions(check_seconds=0.05, fresh_seconds=0.05))
    cookie = signed_in(person())
    with served(AllowedOrigins(consumer)) as url:
        yield Site(url, figures, hub, cookie)
    connections.close_all()
