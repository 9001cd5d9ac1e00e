"""The agent beside a host with the robot's own kind of sockets, while an operator drives: it takes nothing, opens
nothing there, and what it reports is right.
"""

import os
import signal
import subprocess
import sys
import time
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from benchmarks.robot_operator import Host, NaiveMonitor, Operator, host
from benchmarks.stolen_frames import CLIENTS, layout_of
from heartbeat.ingest import schema
from tests.clients.conftest import until
from tests.clients.stand_in import StandIn

HZ = 30.0


@dataclass
class Flight:
    """What an operator, a host, the door and the agent's sockets tell of one session."""

    operator: Operator
    door: StandIn
    ports: tuple[int, int]
    log: str = ""
    frames_sent: int = 0
    counted: dict[str, int] = field(default_factory=dict)
    #: ports that the agent was ever connected to
    agents_ports: set[int] = field(default_factory=set)
    signals: list[dict[str, Any]] = field(default_factory=list)


def start_agent(door: StandIn, layouts: Path, *options: str) -> "subprocess.Popen[str]":
    arguments = ["--url", door.url, "--robot-id", "Lekiwi_5A3F", "--kind", "test", "--layouts", str(layouts), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "lekiwi_agent", *arguments],
        env={**os.environ, "PYTHONPATH": CLIENTS, "LEKIWI_TOKEN": "lkr_1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def of_the_agents(process: psutil.Process) -> set[int]:
    return {each.raddr.port for each in process.net_connections("inet") if each.raddr}


@pytest.fixture(scope="module")
def flight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flight]:
    """Host up, agent up, the operator connects, drives for a while, rests and leaves."""
    layouts = tmp_path_factory.mktemp("agent") / "layouts.toml"
    with StandIn().serving() as door, host("--host.connection_time_s=600") as robot:
        layouts.write_text(layout_of(robot, "test"))
        process = start_agent(door, layouts, "--interval", "1")
        try:
            yield flown(door, robot, process)
        finally:
            process.kill()
            process.wait()


def flown(door: StandIn, robot: Host, process: "subprocess.Popen[str]") -> Flight:
    watched = psutil.Process(process.pid)
    ports: set[int] = set()

    def seen(holds: Callable[[dict[str, Any]], bool], what: str) -> None:
        def asked() -> bool:
            ports.update(of_the_agents(watched))
            return any(holds(each) for each in door.signals[:])

        until(asked, what)

    seen(lambda said: said.get("host_up") is True, "the host is up")
    operator = Operator(robot, HZ)
    seen(lambda said: said.get("observers") == 1, "the operator reads")
    operator.start()
    seen(lambda said: (said.get("command_rate_hz") or 0) > HZ / 2, "the operator drives")
    began = time.monotonic()
    seen(lambda said: time.monotonic() - began > 1.5, "it drives for a while")
    operator.rest()
    at_rest = len(door.signals)
    seen(lambda said: len(door.signals) > at_rest and door.signals[-1]["command_age_ms"] > 500, "the operator rests")
    sent = robot.quiet()["frames"]
    until(lambda: len(operator.frames) >= sent, "every frame")
    process.send_signal(signal.SIGTERM)
    log = process.communicate(timeout=20)[1]
    counted = robot.end()
    operator.leave()
    assert process.returncode == 0, log
    return Flight(
        operator, door, (robot.command_port, robot.observation_port), log, sent, counted, ports, list(door.signals)
    )


def test_not_one_frame_is_taken_from_the_operator(flight: Flight) -> None:
    assert flight.frames_sent > HZ
    assert flight.operator.frames == list(range(flight.frames_sent))


def test_not_one_command_is_taken_from_the_host(flight: Flight) -> None:
    assert flight.operator.sent > HZ
    assert flight.counted["commands"] == flight.operator.sent


def test_the_agent_opens_no_connection_to_the_robots_ports(flight: Flight) -> None:
    accepted = (flight.counted["command_connections"], flight.counted["observation_connections"])

    assert accepted == (1, 1), "the host counts each connection that was ever accepted"
    door = int(flight.door.url.rpartition(":")[2])
    assert flight.agents_ports == {door}


def test_a_naive_monitor_takes_half_of_the_frames_and_is_found_out() -> None:
    with host("--hz", "200") as robot:
        operator, monitor = Operator(robot), NaiveMonitor(robot)
        until(lambda: len(operator.frames) + len(monitor.frames) > 100, "some frames")
        sent = robot.quiet()["frames"]
        until(lambda: len(operator.frames) + len(monitor.frames) == sent, "every frame")
        counted = robot.end()
        operator.leave()
        monitor.leave()

    assert counted["observation_connections"] == 2
    assert len(monitor.frames) > sent / 3
    assert operator.frames != list(range(sent))


def test_the_age_of_the_last_command_is_right(flight: Flight) -> None:
    last = flight.operator.last_sent_at
    told = [each for each in flight.signals if each["measured_ms"] / 1000 > last and "command_age_ms" in each]

    assert told
    for each in told:
        assert (each["measured_ms"] - each["command_age_ms"]) / 1000 == pytest.approx(last, abs=0.1)


def test_the_beginning_is_dated_back_to_the_first_command(flight: Flight) -> None:
    first = flight.operator.first_sent_at
    told = [each for each in flight.signals if "commanded_for_ms" in each]

    for each in told:
        assert (each["measured_ms"] - each["commanded_for_ms"]) / 1000 == pytest.approx(first, abs=0.4)


def test_nobody_is_said_to_drive_before_the_first_command(flight: Flight) -> None:
    before = [each for each in flight.signals if each["measured_ms"] / 1000 < flight.operator.first_sent_at]

    assert any(each["observers"] == 1 and each["flows"] for each in before), "connected, and not yet driving"
    assert all("command_age_ms" not in each for each in before)


def test_the_rate_is_the_operators(flight: Flight) -> None:
    operator = flight.operator
    really = (operator.sent - 1) / (operator.last_sent_at - operator.first_sent_at)

    rates = [each["command_rate_hz"] for each in flight.signals if each.get("command_rate_hz")]

    assert rates[-1] == pytest.approx(really, rel=0.3)


def test_the_round_trip_of_the_frames_connection_is_told(flight: Flight) -> None:
    observing = [flow for each in flight.signals for flow in each.get("flows", ()) if flow["port"] == flight.ports[1]]

    assert observing
    assert all(0 < flow["rtt_ms"] < 50 for flow in observing if "rtt_ms" in flow)
    assert any("rtt_ms" in flow for flow in observing)


def test_the_host_and_its_time_are_told(flight: Flight) -> None:
    said = flight.signals[-1]

    assert (said["host_up"], said["host_runs_for_ms"]) == (True, 600_000)
    assert said["host_up_for_ms"] > 0


def test_heartbeats_carry_the_same_and_what_cannot_be_seen(flight: Flight) -> None:
    beat = flight.door.all_bodies[-1]

    assert beat["teleop"]["host_up"] is True
    assert beat["services"] == {"teleop": "unknown"}
    unseen = beat["extra"]["agent"]["unseen"]
    assert {"watchdog", "driver", "operator", "service"} <= unseen.keys()
    assert "cannot see watchdog" in flight.log
    assert flight.log.count("cannot see watchdog") == 1
    assert {body["boot_id"] for body in flight.door.signal_bodies} == {beat["boot_id"]}
    assert flight.door.tokens == {"lkr_1"}


def members(said: dict[str, Any], taken: type[msgspec.Struct]) -> dict[str, Any]:
    """The members that `taken` does not have, down into lists: those would be dropped in silence."""
    unknown = {name: value for name, value in said.items() if name not in taken.__struct_fields__}
    for member in msgspec.structs.fields(taken):
        told = said.get(member.name)
        for inner in structs_in(member.type):
            for one in told if isinstance(told, list) else [told or {}]:
                unknown |= {f"{member.name}.{name}": value for name, value in members(one, inner).items()}
    return unknown


def structs_in(kind: Any) -> list[type[msgspec.Struct]]:
    """The structs that a field's type holds."""
    inner = [each for argument in typing.get_args(kind) for each in structs_in(argument)]
    return [kind] if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else inner


def test_all_of_it_is_what_the_system_takes(flight: Flight) -> None:
    for beat in flight.door.all_bodies:
        assert schema.convert(beat).teleop is not None
        assert members(beat, schema.V2Heartbeat) == {}
    said = [beat["teleop"] for beat in flight.door.all_bodies] + flight.door.signals
    assert [members(each, schema.Teleop) for each in said if members(each, schema.Teleop)] == []
    assert {"flows"} <= {name for each in said for name in each}


def test_a_member_that_the_system_does_not_take_is_found() -> None:
    said = {"host_up": True, "watchdog": True, "flows": [{"port": 5555, "recv_age_ms": 3}]}

    assert members(said, schema.Teleop) == {"watchdog": True, "flows.recv_age_ms": 3}


def test_signals_alone_where_the_robots_own_program_sends_heartbeats(tmp_path: Path, door: StandIn) -> None:
    layouts = tmp_path / "layouts.toml"
    layouts.write_text("[test]\ncommand_ports = [1]\nhost_programs = ['no_such_program']\n")
    process = start_agent(door, layouts, "--only", "signals")
    try:
        until(lambda: door.signals, "a signal")
    finally:
        process.terminate()
        process.communicate(timeout=20)

    assert door.signals[0]["host_up"] is False
    assert not door.all_bodies
    assert not door.legacy_bodies


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--kind", "cart", "--show"], "no layout for kind 'cart'"),
        (["--kind", "lekiwi"], "--url and --robot-id are needed"),
        (["--kind", "lekiwi", "--url", "nowhere", "--robot-id", "r"], "url: an address like"),
        (["--kind", "lekiwi", "--show", "--layouts", "/no/such/file"], "No such file or directory"),
    ],
)
def test_what_makes_no_sense_ends_with_one_sentence(
    options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from lekiwi_agent.__main__ import main

    try:
        code: object = main(options)
    except SystemExit as left:
        code = left.code

    assert code == 2
    assert complaint in capsys.readouterr().err
