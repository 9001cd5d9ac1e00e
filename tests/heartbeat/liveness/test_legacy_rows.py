"""A robot that legacy owns: its lost copy is not silence, and a legacy that cannot be asked holds nobody up."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.heartbeat.liveness.world import World, at
from tests.heartbeat.running import eventually


class Legacy:
    """A legacy that lists what it is told to, or takes its time."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []
        self.delay_seconds = 0.0
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                time.sleep(outer.delay_seconds)
                body = json.dumps(outer.rows).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def legacy() -> Iterator[Legacy]:
    made = Legacy()
    yield made
    made.close()


@pytest.fixture
def owned(world: World, legacy: Legacy) -> World:
    """A robot that legacy owns, last heard at second 0 by its copy."""
    world.legacy_url = legacy.url
    world.restarted()
    world.robot("Lekiwi_A", 0, last_side="legacy")
    world.pass_to(1)
    return world


def local(moment: datetime) -> str:
    """As legacy writes it: naive, in its own zone."""
    return moment.astimezone().replace(tzinfo=None).isoformat()


def _until(world: World, state: str, second: float) -> None:
    """Let the watcher look again at the same second until legacy's answer has come."""

    def holds() -> bool:
        world.pass_to(second)
        return world.state("Lekiwi_A") == state

    eventually(holds, seconds=10)


def test_a_lost_copy_is_not_silence(owned: World, legacy: Legacy) -> None:
    legacy.rows = [{"last_seen": local(at(60)), "robot_id": "LEKIWI_a"}, {"last_seen": "x"}, {"robot_id": 7}]
    owned.pass_to(62)
    eventually(lambda: owned.legacy.since(at(61)) is not None)
    legacy.rows = []
    owned.pass_to(62.1, 64, 120.9)
    assert owned.events() == []

    _until(owned, "late", 121.1)

    assert owned.events() == [("late", 121.0)]


def test_a_robot_that_legacy_does_not_hear_either_is_late(owned: World, legacy: Legacy) -> None:
    legacy.rows = [{"robot_id": "Lekiwi_A", "last_seen": local(at(0))}]

    _until(owned, "late", 62)

    (event,) = owned.rows("SELECT reason FROM heartbeat_livenessevent WHERE to_state = 'late'")
    assert event["reason"] == "silent for more than 61.0 s"


def test_a_legacy_that_hangs_delays_the_decision_by_two_seconds_at_most_and_the_event_says_so(
    owned: World, legacy: Legacy
) -> None:
    legacy.delay_seconds = 1.0
    owned.pass_to(61.1, 62.9)
    assert owned.events() == []

    owned.pass_to(63.1)

    (event,) = owned.rows("SELECT reason FROM heartbeat_livenessevent WHERE to_state = 'late'")
    assert event["reason"].endswith("; legacy did not answer within 2 s")


def test_a_legacy_that_is_gone_cannot_be_asked_and_the_event_says_so(owned: World) -> None:
    owned.legacy_url = "http://127.0.0.1:1"
    owned.restarted()

    _until(owned, "late", 62)

    (event,) = owned.rows("SELECT reason FROM heartbeat_livenessevent WHERE to_state = 'late'")
    assert event["reason"].endswith("; legacy could not be asked: ConnectError")


def test_a_time_in_the_future_proves_nothing(owned: World, legacy: Legacy) -> None:
    legacy.rows = [{"robot_id": "Lekiwi_A", "last_seen": "2037-01-01T00:00:00"}]

    _until(owned, "late", 62)


def test_a_silent_robot_is_back_when_legacy_hears_it(owned: World, legacy: Legacy) -> None:
    legacy.rows = [{"robot_id": "Lekiwi_A", "last_seen": local(at(0))}]
    _until(owned, "late", 62)
    legacy.rows = [{"robot_id": "Lekiwi_A", "last_seen": local(at(70))}]

    _until(owned, "online", 71)

    assert owned.events() == [("late", 61.0), ("online", 70.0)]


def test_a_robot_of_new_is_decided_without_asking(world: World, legacy: Legacy) -> None:
    world.legacy_url = legacy.url
    world.restarted()
    world.robot("a", 0, last_side="new")
    world.pass_to(1, 62, 153)

    assert (legacy.asked, world.state("a")) == (0, "offline")
