"""The browsers' sockets over real connections: who gets in, what they get, and what one that does not read costs."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from dashboard.live.consumer import SIGNED_OUT
from dashboard.live.hub import Hub
from heartbeat.models import Robot
from tests.builders import heard_robot, person
from tests.dashboard.following import FollowedFleet, receive
from tests.dashboard.serving import served
from tests.dashboard.watching import Figures, Site, signed_in, site  # noqa: F401 - a fixture

PATIENCE_SECONDS = 20


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.005)


def test_a_browser_gets_the_time_a_whole_and_then_changes_with_numbers_that_follow(site):
    with site.open("figures") as browser:
        hello, whole, change = receive(browser), receive(browser), receive(browser)

    assert "now" in hello["hello"]
    assert whole["whole"] is True
    assert whole["data"] == {"n": whole["data"]["n"], "f": "same"}
    assert "whole" not in change
    assert change["data"] == {"n": whole["data"]["n"] + 1}
    assert (change["view"], change["seq"]) == ("figures", whole["seq"] + 1)
    assert change["at"] > whole["at"]


def test_who_asks_again_gets_the_whole_again(site):
    with site.open() as browser:
        browser.send('{"subscribe": "figures/a"}')
        first = receive(browser, "figures/a")
        browser.send('{"subscribe": "figures/a"}')
        while not (again := receive(browser, "figures/a")).get("whole"):
            pass

    assert first["whole"]
    assert again["data"]["f"] == "same"
    assert again["seq"] >= first["seq"]


def test_who_unsubscribes_gets_no_more_of_it_and_keeps_the_rest(site):
    with site.open("figures/a", "figures/b") as browser:
        receive(browser, "figures/a")
        browser.send('{"unsubscribe": "figures/a"}')
        until(lambda: site.hub.watched == ["figures/b"])
        receive(browser, "figures/b")


@pytest.mark.parametrize(
    ("said", "field"),
    [('{"subscribe": "moon"}', "subscribe"), ("not JSON", ""), ('{"delete": "all"}', ""), ("[]", "")],
    ids=["no such view", "no JSON", "no such wish", "no object"],
)
def test_what_makes_no_sense_is_refused_and_ends_nothing(site, said, field):
    with site.open("figures") as browser:
        browser.send(said)
        while "refused" not in (answer := receive(browser)):
            pass
        receive(browser, "figures")

    assert answer["refused"]["field"] == field
    assert answer["refused"]["reason"]


def test_who_is_not_signed_in_or_comes_from_elsewhere_or_wants_no_view_is_turned_away(site):
    disabled = User.objects.create_user("disabled", is_active=False)
    attempts = {
        "no login": {"cookie": "a=b"},
        "a made up login": {"cookie": "sessionid=abcdefghijklmnopqrstuvwxyz012345"},
        "a disabled login": {"cookie": signed_in(disabled)},
        "somebody else's page": {"origin": "http://evil.example"},
    }

    for name, attempt in attempts.items():
        with pytest.raises(InvalidStatus) as refused:
            site.open("figures", **attempt)
        assert refused.value.response.status_code == 403, name
    with pytest.raises(InvalidStatus):
        site.open("moon")
    assert site.figures.looks == 0


def test_a_socket_is_closed_when_its_login_ends(site):
    with site.open("figures") as browser:
        receive(browser, "figures")
        Client(headers={"cookie": site.cookie}).post("/logout/")

        with pytest.raises(ConnectionClosed) as closed:
            _receive_for_ever(browser)

    assert closed.value.rcvd.code == SIGNED_OUT


def test_a_new_password_ends_the_sockets_of_the_old_one(site):
    with site.open("figures") as browser:
        receive(browser, "figures")
        user = User.objects.get()
        user.set_password("another-secret")
        user.save()

        with pytest.raises(ConnectionClosed):
            _receive_for_ever(browser)


def test_figures_are_looked_at_only_while_somebody_watches_and_once_for_all(site):
    with site.open("figures") as one, site.open("figures") as other:
        first, second = receive(one, "figures"), receive(other, "figures")
        assert abs(first["data"]["n"] - second["data"]["n"]) <= site.figures.looks
        assert site.figures.looks - first["data"]["n"] <= second["seq"] - first["seq"] + 2
    until(lambda: not site.hub.watched)
    looks = site.figures.looks
    with site.open("figures") as browser:
        frame = receive(browser, "figures")

    assert frame["whole"]
    assert frame["data"]["n"] > looks


def test_figures_that_cannot_be_read_are_told_and_come_back_whole(site):
    with site.open("figures") as browser:
        receive(browser, "figures")
        site.figures.broken = True
        while "trouble" not in (trouble := receive(browser, "figures")):
            pass
        site.figures.broken = False
        while "trouble" in (after := receive(browser, "figures")):
            pass

    assert trouble["trouble"] == "The site cannot read its figures: the database does not answer"
    assert after["whole"]


def test_compressed_and_plain_browsers_get_the_same(site):
    site.figures.filling = "long " * 200
    with site.open("figures") as packed, site.open("figures", compression=None) as plain:
        one, other = receive(packed, "figures"), receive(plain, "figures")

    assert packed.protocol.extensions
    assert not plain.protocol.extensions
    assert one["data"]["f"] == other["data"]["f"] == site.figures.filling


def _receive_for_ever(browser: ClientConnection) -> None:
    while True:
        receive(browser)


@contextmanager
def browser_that_does_not_read(site: Site) -> Iterator[socket.socket]:
    """A connection that is opened, watches `figures`, and never takes anything."""
    address = urlsplit(site.url)
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect((address.hostname, address.port))
        raw.sendall(
            f"GET /ws/views/?view=figures HTTP/1.1\r\nHost: {address.netloc}\r\nOrigin: {site.url}\r\n"
            f"Cookie: {site.cookie}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        yield raw


def test_a_browser_that_does_not_read_costs_one_frame_holds_up_nobody_and_then_gets_the_newest(site):
    site.figures.filling = "x" * 2_000_000  # more than the kernel takes for a peer that does not read
    with browser_that_does_not_read(site) as raw, site.open("figures") as other:
        until(lambda: any(seat.socket.is_full for seat in site.hub.view("figures").seats))
        stuck = next(seat for seat in site.hub.view("figures").seats if seat.socket.is_full)
        waiting = stuck.socket.transport.get_write_buffer_size()
        looks = site.figures.looks
        while receive(other, "figures")["data"]["n"] < looks + 100:
            pass
        still_waiting = stuck.socket.transport.get_write_buffer_size()
        missed_from = stuck.seen

        frames = _texts(raw)
        whole = json.loads(next(text for text in frames if b'"whole"' in text))
        newest = json.loads(next(frames))

    assert 0 < waiting <= 2_000_200
    assert still_waiting == waiting
    assert whole["seq"] == missed_from
    assert newest["seq"] > missed_from + 90


def _texts(raw: socket.socket) -> Iterator[bytes]:
    """The texts of a connection's frames after its head."""
    stream = raw.makefile("rb")
    while stream.readline() != b"\r\n":
        pass
    while True:
        first, length = stream.read(2)
        if length > 125:
            length = int.from_bytes(stream.read(2 if length == 126 else 8), "big")
        text = stream.read(length)
        if first & 0x0F == 1:
            yield text


def test_the_live_process_shows_a_change_of_the_fleet_within_its_next_frames(committed_db, canary):
    heard_robot("Lekiwi_1")
    cookie = signed_in(person())
    with served() as url:
        site = Site(url, Figures(), Hub({}), cookie)
        with site.open("fleet", "teleop", "migration/bar", "robot/Lekiwi_1") as browser:
            frames: dict[str, Any] = {}
            while len(frames) < 4:
                frame = receive(browser)
                frames.setdefault(frame.get("view", ""), frame) if "view" in frame else None
            page = FollowedFleet()
            page.take(frames["fleet"])
            assert page.lines[0]["status"] == "idle"
            assert "Canary 10 %" in frames["migration/bar"]["html"]["bar-phase"]
            assert "idle" in frames["robot/Lekiwi_1"]["html"]["robot-state"]

            Robot.objects.filter(robot_id="Lekiwi_1").update(status="updating")
            while page.lines[0]["status"] == "idle":
                page.take(receive(browser, "fleet"))
        metrics = Client().get("/metrics").content.decode()
    connections.close_all()

    assert page.lines[0]["status"] == "updating"
    assert 'lekiwi_dashboard_sockets{view="fleet"}' in metrics


def test_ten_sockets_that_come_at_once_with_one_login_make_one_query(site, django_assert_num_queries):
    before = _session_queries()
    barrier = threading.Barrier(10)

    def come() -> None:
        barrier.wait(PATIENCE_SECONDS)
        with site.open("figures") as browser:
            receive(browser, "figures")

    threads = [threading.Thread(target=come) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)

    assert _session_queries() - before < 10


def _session_queries() -> float:
    from dashboard.live.metrics import SESSION_QUERIES

    return SESSION_QUERIES._value.get()
