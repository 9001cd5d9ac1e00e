import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.db import SessionStore
from django.db import connections
from django.test import Client

from config.live import application
from dashboard.consumers import SIGNED_OUT, OverviewConsumer
from dashboard.partials import Screen
from dashboard.producer import Producer
from tests.builders import person

PATH = "/ws/overview/"


@pytest.fixture(autouse=True)
async def _no_connection_is_left() -> AsyncIterator[None]:
    """Channels' communicator turns off what closes connections; here they are closed where they were opened."""
    yield
    await sync_to_async(connections.close_all)()


@pytest.fixture
def cookie(committed_db: None, canary: Any) -> bytes:
    """The session of somebody who is signed in."""
    client = Client()
    client.force_login(person())
    return client.cookies.output(attrs=[], header="", sep=";").strip().encode()


def socket(cookie: bytes, origin: bytes = b"http://localhost", path: str = PATH) -> WebsocketCommunicator:
    return WebsocketCommunicator(application, path, headers=[(b"origin", origin), (b"cookie", cookie)])


async def test_a_socket_gets_a_snapshot_and_then_a_frame_a_second(cookie):
    communicator = socket(cookie)

    connected, _ = await communicator.connect(timeout=10)
    snapshot = json.loads(await communicator.receive_from(timeout=10))
    update = json.loads(await communicator.receive_from(timeout=10))
    await communicator.disconnect()

    assert connected
    assert snapshot["whole"]
    assert "Canary 10 %" in snapshot["html"]["bar-phase"]
    assert update["seq"] == snapshot["seq"] + 1
    assert not update["whole"]
    assert "fleet-chips" not in update["html"]
    assert update["at"] > snapshot["at"]


@pytest.mark.parametrize(
    ("origin", "path"), [(b"http://evil.example", PATH), (b"http://localhost", "/ws/moon/")], ids=["origin", "path"]
)
async def test_a_page_of_somebody_else_and_an_unknown_path_are_refused(cookie, origin, path):
    connected, _ = await socket(cookie, origin, path).connect(timeout=10)

    assert not connected


async def test_a_socket_without_a_login_is_refused(committed_db):
    connected, code = await socket(b"").connect(timeout=10)

    assert not connected
    assert code == SIGNED_OUT


class Peer:
    """The server's side of one browser, which reads only when it is let."""

    def __init__(self, session: Any, user: Any) -> None:
        self.scope = {"type": "websocket", "user": user, "session": session}
        self.sent: list[dict[str, Any]] = []
        self.reads = asyncio.Event()
        self.leaves = asyncio.Event()
        self._connects = True

    async def receive(self) -> dict[str, Any]:
        if self._connects:
            self._connects = False
            return {"type": "websocket.connect"}
        await self.leaves.wait()
        return {"type": "websocket.disconnect", "code": 1001}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        if message["type"] == "websocket.send":
            await self.reads.wait()

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(message["text"]) for message in self.sent if message["type"] == "websocket.send"]


async def numbers() -> Screen:
    return Screen(at="2026-11-24T03:12:44+00:00", html={"news": "n"}, data={})


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for is a number of the code under test
            await asyncio.sleep(0.005)


async def test_a_client_that_does_not_read_costs_one_frame_and_then_gets_the_newest(db):
    producer = Producer(numbers, 0.002)
    peer = Peer(SessionStore(), User(username="reader"))

    serving = asyncio.create_task(OverviewConsumer(producer)(peer.scope, peer.receive, peer.send))
    await until(lambda: producer.seq > 200)
    waiting = len(peer.frames)
    peer.reads.set()
    await until(lambda: len(peer.frames) > 1)
    peer.leaves.set()
    await serving

    assert waiting == 1
    assert peer.frames[1]["whole"]
    assert peer.frames[1]["seq"] > 200
    assert not producer.is_running


async def test_an_open_socket_is_closed_when_its_login_ends(cookie):
    session_key = cookie.decode().partition("=")[2].partition(";")[0]
    peer = Peer(SessionStore(session_key), User(username="reader"))
    peer.reads.set()

    consumer = OverviewConsumer(Producer(numbers, 0.01), session_check_seconds=0.02)
    serving = asyncio.create_task(consumer(peer.scope, peer.receive, peer.send))
    await until(lambda: peer.frames)
    await database_sync_to_async(SessionStore(session_key).delete)(session_key)
    async with asyncio.timeout(10):
        await serving

    assert peer.sent[-1]["type"] == "websocket.close"
    assert peer.sent[-1]["code"] == SIGNED_OUT


async def test_nobody_without_a_login_starts_the_producer():
    producer = Producer(numbers, 0.01)
    peer = Peer(None, AnonymousUser())

    await OverviewConsumer(producer)(peer.scope, peer.receive, peer.send)

    assert [message["type"] for message in peer.sent] == ["websocket.close"]
    assert not producer.is_running
