"""Robots of the fleet that run the bundled client, against a stand-in that speaks the wire protocol."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from heartbeat.ingest.schema import Teleop, V2Heartbeat
from simulator.ledger import ACKNOWLEDGED, read_ledger, read_truths
from tests.clients.stand_in import StandIn
from tests.simulator.running import fleet, until

FLAGS = ("--robots", "6", "--interval", "0.1", "--check-update-every", "0.5", "--v2-share", "0.5")


@pytest.fixture
def door() -> Iterator[StandIn]:
    with StandIn().serving() as serving:
        yield serving


def v2_robots(path: Path) -> set[str]:
    return {robot for _, robot, what, _ in read_truths(path) if what == "protocol"}


def stop(process: Any) -> None:
    process.terminate()
    process.wait(20)
    assert process.returncode == 0


def test_a_share_of_the_robots_speaks_v2_with_tokens_of_their_own(door: StandIn, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with fleet(door.url, path, *FLAGS, "--enrolment-token", "lke_good") as process:
        until(lambda: len(door.stored) > 30, "v2 robots are heard")
        stop(process)

    ledger, robots = read_ledger(path), v2_robots(path)
    heard = {body["robot_id"] for body in door.bodies.values()}
    assert len(robots) == 3
    assert heard <= robots
    assert {body["robot_id"] for body in door.legacy_bodies} >= {r for r in ledger.by_robot if r not in robots}
    tokens = json.loads((tmp_path / "ledger.tokens").read_text())
    assert set(tokens) == robots
    assert set(tokens.values()) <= door.tokens
    assert (tmp_path / "ledger.tokens").stat().st_mode & 0o777 == 0o600
    # What was acknowledged is what was stored: nothing is missing, and nothing was settled that nobody stored.
    assert ledger.v2.stored_by_new == set(door.stored)
    assert ledger.v2.outcomes == {ACKNOWLEDGED: len(door.stored)}
    assert ledger.failures == 0

    with fleet(door.url, path, *FLAGS, "--enrolment-token", "lke_good") as process:
        seen = len(door.stored)
        until(lambda: len(door.stored) > seen, "the fleet runs again")
        stop(process)
    assert door.calls["POST /api/v2/enrol"] == 3
    assert read_ledger(path).failures == 0


def test_robots_that_speak_legacy_again_show_the_tokens_they_have(door: StandIn, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with fleet(door.url, path, *FLAGS, "--enrolment-token", "lke_good") as process:
        until(lambda: len(door.stored) > 6, "v2 robots are heard")
        stop(process)

    with fleet(door.url, path, *FLAGS[:-1], "0") as process:
        seen = len(door.legacy_bodies)
        until(lambda: len({body["robot_id"] for body in door.legacy_bodies[seen:]}) == 6, "all speak legacy")
        stop(process)

    assert read_ledger(path).failures == 0


def test_what_they_say_is_valid_and_true_to_their_kind(door: StandIn, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with fleet(door.url, path, "--robots", "8", "--interval", "0.1", "--v2-share", "1") as process:
        until(lambda: len({body["robot_id"] for body in door.all_bodies}) == 8, "every robot is heard")
        stop(process)

    described = {robot: value for _, robot, what, value in read_truths(path) if what == "robot"}
    for body in door.all_bodies:
        said = msgspec.convert(body, V2Heartbeat)
        assert len(said.motors) == {"lekiwi": 9, "xle": 17}[said.kind or ""]
        assert len(said.cameras) == len(described[said.robot_id]["cameras"])
        assert (said.battery_percent is not None) == described[said.robot_id]["battery"]
        assert said.next_in_s
        assert said.teleop is not None
        assert {"teleop", "lekiwi"} == set(body["services"])
        assert all(("position_degrees" in motor) != motor["name"].endswith("_wheel") for motor in body["motors"])


def test_refused_they_use_the_legacy_call_and_come_back(door: StandIn, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    door.v2, door.retry_after = 503, "0.5"
    with fleet(door.url, path, "--robots", "3", "--interval", "0.1", "--v2-share", "1") as process:
        until(lambda: path.exists() and read_ledger(path).v2.ways["legacy"] > 6, "they have fallen back")
        door.v2 = "ok"
        until(lambda: read_ledger(path).v2.ways["socket"] > 6, "they are back on the socket")
        stop(process)

    ledger = read_ledger(path)
    assert ledger.v2.stored_by_new == set(door.stored)
    assert ledger.v2.outcomes == {ACKNOWLEDGED: ledger.v2.acknowledged}
    assert ledger.failures == 0


def test_a_robot_without_a_token_goes_on_as_it_always_did(door: StandIn, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with fleet(door.url, path, *FLAGS, "--enrolment-token", "lke_bad") as process:
        until(lambda: len({body["robot_id"] for body in door.legacy_bodies}) == 6, "all speak legacy")
        stop(process)

    assert door.stored == {}
    assert read_ledger(path).v2.outcomes == {}


def test_what_happens_to_a_v2_robots_operator_is_told_between_heartbeats(door: StandIn, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    flags = ("--robots", "8", "--interval", "60", "--v2-share", "1", "--seed", "3")

    def driven() -> list[Any]:
        return [each for each in door.signals if each.get("command_rate_hz")]

    with fleet(door.url, path, *flags, "--enrolment-token", "lke_good") as process:
        until(lambda: len(driven()) > 8 and len(door.signal_bodies) > 20, "operators are told of")
        stop(process)

    for each in door.signals:
        msgspec.convert(each, Teleop)
        assert each["measured_ms"] > 0
    assert {each["next_in_ms"] for each in driven()} == {250.0}
    assert door.calls["signals by socket"] == len(door.signal_bodies)
