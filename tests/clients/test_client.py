"""A robot's client against a door that behaves, misbehaves and comes back."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from lekiwi_heartbeat import Heartbeat, Refused, enrol
from lekiwi_heartbeat.__main__ import main
from lekiwi_heartbeat.limits import Limits

from embedded.ports import free_port
from tests.clients.conftest import PACKAGE, until
from tests.clients.stand_in import StandIn

IMPATIENT = Limits(acknowledged_within=0.2, v2_patience=0.2, legacy_patience=1.0, between_batches=0.05)


def client(door: StandIn | str, **options: Any) -> Heartbeat:
    url = door if isinstance(door, str) else door.url
    return Heartbeat(url, "Lekiwi_5A3F", **{"token": "lkr_1", "interval": 0.01, "limits": IMPATIENT, **options})


def test_a_heartbeat_goes_over_the_socket_and_is_acknowledged(door: StandIn) -> None:
    with client(door, about={"kind": "lekiwi", "firmware": "2.1"}) as heartbeat:
        heartbeat.beat(status="idle", battery_percent=81.5)
        assert heartbeat.flush()

    (key,) = door.stored
    assert door.stored[key] == ["socket"]
    assert key == (heartbeat.boot_id, 1)
    said = door.bodies[1]
    assert (said["robot_id"], said["battery_percent"], said["kind"]) == ("Lekiwi_5A3F", 81.5, "lekiwi")
    assert said["next_in_s"] == 0.01
    assert said["sent_at"].endswith("+00:00")
    assert door.tokens == {"lkr_1"}


def test_many_beats_in_a_tight_loop_are_one_heartbeat_an_interval(door: StandIn) -> None:
    with client(door, interval=3600) as heartbeat:
        for number in range(100):
            heartbeat.beat(status="idle", battery_percent=number / 2)
        until(lambda: door.stored, "the first heartbeat")
        for number in range(100):
            heartbeat.beat(status="deploying", battery_percent=number / 2)
        until(lambda: len(door.stored) == 2, "a change of status is told at once")

    assert [body["status"] for body in door.bodies.values()][:2] == ["idle", "deploying"]
    assert len(door.stored) <= 3


def test_without_sockets_it_posts(door: StandIn) -> None:
    door.sockets_allowed = False
    with client(door) as heartbeat:
        heartbeat.beat()
        assert heartbeat.flush()

    assert list(door.stored.values()) == [["http"]]


@pytest.mark.parametrize("sockets", [True, False])
def test_what_happens_between_heartbeats_is_told_at_once(door: StandIn, sockets: bool) -> None:
    door.sockets_allowed = sockets
    with client(door, interval=3600) as heartbeat:
        heartbeat.beat(status="idle")
        assert heartbeat.flush()
        for age in (None, 12.0, 13.0):
            heartbeat.signal(host_up=True, observers=1, command_age_ms=age)
            until(
                lambda age=age: [each.get("command_age_ms") for each in door.signals][-1:] == [age] or age == 13.0, "it"
            )

    assert [each["command_age_ms"] for each in door.signals][:2] == [None, 12.0]
    assert {body["boot_id"] for body in door.signal_bodies} == {heartbeat.boot_id}
    assert bool(door.calls["signals by socket"]) is sockets
    assert len(door.stored) == 1


@pytest.mark.parametrize("trouble", [503, 401, 403, 404, 500, "mute"])
def test_it_falls_back_to_the_legacy_call(door: StandIn, trouble: str | int) -> None:
    door.v2 = trouble
    with client(door) as heartbeat:
        heartbeat.beat(status="idle", version="v1.2.0", services={"teleop": "active"})
        assert heartbeat.flush()

    (said,) = door.legacy_bodies
    assert list(said) == ["robot_id", "deployment_id", "version", "status", "message", "health"]
    assert (said["robot_id"], said["version"], said["status"]) == ("Lekiwi_5A3F", "v1.2.0", "idle")
    assert said["health"]["services"] == {"teleop": "active"}
    assert "+" not in said["health"]["timestamp"]
    assert heartbeat.counts["acknowledged_legacy"] == 1
    assert door.tokens == {"lkr_1"}


def test_it_returns_to_v2_by_itself(door: StandIn) -> None:
    door.v2, door.retry_after = 503, "0.2"
    with client(door, read=lambda: {"status": "idle"}) as heartbeat:
        until(lambda: len(door.legacy_bodies) > 2, "it has fallen back")
        door.v2 = "ok"
        until(lambda: heartbeat.counts.get("acknowledged_socket", 0) > 2, "it is back on the socket")


def test_a_socket_that_acknowledges_nothing_is_dropped_and_nothing_is_lost(door: StandIn) -> None:
    with client(door) as heartbeat:
        heartbeat.beat()
        assert heartbeat.flush()
        door.v2 = "mute"
        heartbeat.beat()
        until(lambda: heartbeat.counts.get("sockets_lost"), "the mute socket is dropped")
        until(lambda: heartbeat.counts.get("acknowledged_legacy"), "legacy heard it")
        assert heartbeat.counts["waiting"] == 0


def test_what_gathered_offline_is_sent_in_batches_as_it_was_said() -> None:
    port = free_port()
    with client(f"http://127.0.0.1:{port}") as heartbeat:
        for number in range(30):
            heartbeat.beat(battery_percent=number)
            until(lambda number=number: heartbeat.counts.get("made", 0) > number, "it is made")
        door = StandIn()
        with door.serving(port):
            assert heartbeat.flush(20.0)

    assert {key[0] for key in door.stored} == {heartbeat.boot_id}
    assert {sequence: body["battery_percent"] for sequence, body in door.bodies.items()} == {
        number + 1: number for number in range(30) if number + 1 in door.bodies
    }
    # The newest may have been heard by legacy alone; the rest is history, told to v2 in few calls.
    assert len(door.stored) + len(door.legacy_bodies) == 30
    assert door.calls["POST /api/v2/heartbeats"] <= 3


def test_the_buffer_is_bounded_and_says_what_it_lost() -> None:
    limits = Limits(most_buffered=5)
    with client(f"http://127.0.0.1:{free_port()}", limits=limits) as heartbeat:
        for number in range(8):
            heartbeat.beat(battery_percent=number)
            until(lambda number=number: heartbeat.counts.get("made", 0) > number, "it is made")
        assert (heartbeat.counts["waiting"], heartbeat.counts["dropped"]) == (5, 3)
        heartbeat.stop(timeout=0.01)


def test_a_heartbeat_that_is_refused_does_not_hold_the_others_up(door: StandIn) -> None:
    door.poison = {1}
    with client(door) as heartbeat:
        heartbeat.beat()
        until(lambda: heartbeat.counts.get("refused") == 1, "it is refused")
        heartbeat.beat()
        assert heartbeat.flush()

    assert [key[1] for key in door.stored] == [2]


def test_a_socket_that_the_server_closes_is_opened_again(door: StandIn) -> None:
    with client(door, read=lambda: {}) as heartbeat:
        until(lambda: heartbeat.counts.get("acknowledged_socket"), "the first socket works")
        door.hang_up()
        until(lambda: heartbeat.counts.get("acknowledged_http"), "meanwhile it posts")
        until(lambda: door.calls["GET /ws/robot/"] == 2 and door.open_sockets, "the second socket is open")

    assert all(len(ways) == 1 for ways in door.stored.values())


def test_commands_reach_the_robots_handler_once_and_their_result_is_told(door: StandIn) -> None:
    seen: list[tuple[str, Any]] = []

    def obey(name: str, arguments: Any) -> str:
        seen.append((name, arguments))
        if name == "explode":
            raise RuntimeError("no")
        return {"blinked": arguments["times"]}

    with client(door, on_command=obey) as heartbeat:
        heartbeat.beat()
        assert heartbeat.flush()
        for _ in range(2):
            door.say({"type": "command", "id": "c1", "name": "blink", "arguments": {"times": 2}})
        door.say({"type": "command", "id": "c2", "name": "explode", "arguments": None})
        until(lambda: len({result["id"] for result in door.command_results}) == 2, "both are answered")

    assert seen == [("blink", {"times": 2}), ("explode", None)]
    results = {result["id"]: (result["ok"], result["detail"]) for result in door.command_results}
    assert results == {"c1": (True, '{"blinked":2}'), "c2": (False, "RuntimeError: no")}


def test_what_json_cannot_say_is_refused_where_it_is_said(door: StandIn) -> None:
    heartbeat = client(door)

    with pytest.raises(ValueError, match="JSON"):
        heartbeat.beat(battery_percent=float("nan"))
    with pytest.raises(ValueError, match="https://"):
        client("ftp://x")


def test_enrolling_gives_a_token_or_the_reason(door: StandIn) -> None:
    assert enrol(door.url, "lke_good", "Lekiwi_1", kind="lekiwi", site="b") == "lkr_Lekiwi_1_lekiwi_b"

    with pytest.raises(Refused, match="the enrolment token is not known"):
        enrol(door.url, "lke_bad", "Lekiwi_1")


def test_the_command_enrols_once_and_keeps_the_token_to_itself(door: StandIn, tmp_path: Path) -> None:
    file = tmp_path / "token"
    call = ["--url", door.url, "--robot-id", "Lekiwi_1", "--token-file", str(file), "--enrolment-token", "lke_good"]

    assert main([*call, "--once"]) == 0
    assert main([*call, "--once"]) == 0

    assert file.stat().st_mode & 0o777 == 0o600
    assert door.calls["POST /api/v2/enrol"] == 1
    assert file.read_text().strip() in door.tokens
    assert all("disk_percent" in body for body in door.bodies.values())


def test_a_program_that_dies_leaves_no_thread_that_says_it_lives(door: StandIn) -> None:
    before = threading.active_count()
    with client(door, on_command=lambda name, arguments: None) as heartbeat:
        heartbeat.beat()
        heartbeat.flush()

    until(lambda: threading.active_count() <= before, "its threads have ended")


def test_the_package_needs_the_standard_library_alone() -> None:
    script = (
        "import json, sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1])\n"
        "import lekiwi_heartbeat.__main__\n"
        "tops = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(json.dumps(sorted(tops - set(sys.stdlib_module_names))))"
    )
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(PACKAGE)], capture_output=True, text=True, check=True
    )

    assert json.loads(told.stdout) == ["lekiwi_heartbeat"]
