"""The legacy server's faults, which the recorded exchanges do not show."""

import hashlib
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from simulator.legacy.rounds import address_of
from tests.simulator.running import Running, listening, refusal, until

LEGACY = "simulator.legacy"


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    with listening(LEGACY, "--look-seconds", "0") as running:
        yield running


@pytest.fixture
def legacy(shared: Running) -> Running:
    """One process for the tests that need no flags, empty and without faults."""
    assert shared.ask("PUT", "/_sim/state", {})[0] == 200
    assert shared.ask("PUT", "/_sim/faults", {"delay_seconds": 0, "error_rate": 0})[0] == 200
    return shared


def test_a_restart_forgets_the_robots_and_keeps_the_deployments(tmp_path: Path) -> None:
    file = tmp_path / "deployments.json"
    with listening(LEGACY, "--deployments", str(file)) as first:
        first.beat("r1")
        status, rolled_back = first.ask("POST", "/api/rollback", {"version": "v1.1.0"})
        assert status == 200

    with listening(LEGACY, "--deployments", str(file)) as second:
        _, robots = second.ask("GET", "/api/robots")
        _, newest = second.ask("GET", "/api/deployments?limit=1")

    assert robots == []
    assert newest[0]["id"] == rolled_back["deployment_id"]


def test_a_missing_deployments_file_is_made_with_packages_that_can_be_downloaded(tmp_path: Path) -> None:
    file, packages = tmp_path / "new" / "deployments.json", tmp_path / "packages"
    with listening(LEGACY, "--deployments", str(file), "--packages", str(packages)) as legacy:
        _, offer = legacy.ask("GET", "/api/check-update?robot_id=r&current_version=v1.1.0")
        with urllib.request.urlopen(legacy.url + offer["download_url"]) as answer:
            package = answer.read()

    assert offer["version"] == "v1.2.0"
    assert hashlib.sha256(package).hexdigest() == offer["checksum"]
    assert len(package) == offer["package_size"]


def test_a_silent_robot_is_marked_by_overwriting_its_health_until_it_speaks_again() -> None:
    with listening(LEGACY, "--offline-after-seconds", "0.2", "--offline-check-seconds", "0.1") as legacy:
        legacy.beat("r1")

        until(lambda: legacy.ask("GET", "/api/robots/r1")[1]["health"] == "offline", "r1 is marked offline")

        legacy.beat("r1")
        assert legacy.ask("GET", "/api/robots/r1")[1]["health"]["services"]["lekiwi"] == "active"


def test_a_running_host_service_is_taken_for_an_operator(legacy: Running) -> None:
    legacy.beat("Lekiwi_00000001", health={"services": {"teleop": "active", "lekiwi": "active"}})
    legacy.beat("XLE_00000002", health={"services": {"teleop": "inactive", "lekiwi": "active"}})

    _, driven = legacy.ask("GET", f"/api/robot/{address_of('Lekiwi_00000001')}/teleoperation-status")
    _, parked = legacy.ask("GET", f"/api/robot/{address_of('XLE_00000002')}/teleoperation-status")

    expected = {"success", "teleop_host_ready", "teleop_operated", "teleoperated", "host_status", "operation_status"}
    assert set(driven) == expected | {"checked_at", "robot_ip"}
    assert set(driven["operation_status"]) == {"active", "message", "connections", "cpu_usage", "recent_activity"}
    assert driven["teleoperated"] is True
    assert parked["teleoperated"] is False
    assert parked["success"] is True


def test_an_address_where_no_robot_is_cannot_be_reached(legacy: Running) -> None:
    status, report = legacy.ask("GET", "/api/robot/10.9.9.9/teleoperation-status")

    assert status == 200
    assert report["success"] is False
    assert report["teleoperated"] is False


def test_robots_are_looked_at_one_after_the_other(legacy: Running) -> None:
    legacy.beat("Lekiwi_00000001", health={"services": {"teleop": "active"}})
    until(lambda: "Lekiwi_00000001" in legacy.ask("GET", "/_sim/state")[1]["teleop_seen"], "the round saw the robot")

    seen = legacy.ask("GET", "/_sim/state")[1]["teleop_seen"]["Lekiwi_00000001"]

    assert seen["teleoperated"] is True


def test_faults_change_while_it_runs(legacy: Running) -> None:
    assert legacy.ask("PUT", "/_sim/faults", {"error_rate": 1})[1] == {"delay_seconds": 0.0, "error_rate": 1.0}
    assert legacy.ask("GET", "/health") == (500, "Internal Server Error")

    legacy.ask("PUT", "/_sim/faults", {"error_rate": 0})

    assert legacy.ask("GET", "/health")[0] == 200


@pytest.mark.parametrize("wish", [{"error_rate": 2}, {"delay_seconds": -1}, {"noise": 1}, {"error_rate": "x"}, []])
def test_a_fault_that_makes_no_sense_is_refused_and_changes_nothing(legacy: Running, wish: object) -> None:
    assert legacy.ask("PUT", "/_sim/faults", wish)[0] == 422
    assert legacy.ask("GET", "/_sim/faults")[1] == {"delay_seconds": 0.0, "error_rate": 0.0}


def test_a_delayed_server_answers_late(legacy: Running) -> None:
    legacy.ask("PUT", "/_sim/faults", {"delay_seconds": 30})

    with pytest.raises(TimeoutError):
        urllib.request.urlopen(legacy.url + "/health", timeout=0.3)

    legacy.ask("PUT", "/_sim/faults", {"delay_seconds": 0})
    assert legacy.ask("GET", "/health")[0] == 200


def test_its_socket_echoes_text_and_bytes(legacy: Running) -> None:
    with connect(legacy.url.replace("http", "ws") + "/ws") as socket:
        socket.send("grüße")
        assert socket.recv() == "grüße"
        socket.send(b"\x00\xff")
        assert socket.recv() == b"\x00\xff"


def test_dirty_rows_are_there_only_when_asked_for() -> None:
    with listening(LEGACY, "--dirty") as legacy:
        _, rows = legacy.ask("GET", "/api/robots")

    assert any("robot_id" not in row for row in rows)
    ids = [row["robot_id"] for row in rows if "robot_id" in row]
    assert len(ids) > len({robot_id.lower() for robot_id in ids})
    assert any(row.get("health", {}) is None for row in rows)
    assert any(row.get("health") == "offline" for row in rows)


def test_the_marks_of_the_door_mean_nothing_to_it(legacy: Running) -> None:
    marks = {"x-side": "new", "x-shadow": "1", "x-request-id": "abc"}
    body = json.dumps({"robot_id": "r", "status": "idle"}).encode()
    request = urllib.request.Request(
        legacy.url + "/api/robot/status", body, {"content-type": "application/json"} | marks
    )

    with urllib.request.urlopen(request) as answer:
        assert json.load(answer) == {"status": "updated"}
        assert "x-request-id" not in answer.headers
    assert set(legacy.ask("GET", "/api/robots/r")[1]) == {
        "robot_id", "deployment_id", "version", "status", "message", "health", "last_seen",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--error-rate", "1.5"], "between 0 and 1"),
        (["--delay-seconds", "-1"], "0 or more"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_exit_2(flags: list[str], word: str) -> None:
    assert word in refusal(LEGACY, "--port", "0", *flags)


def test_a_taken_port_is_named(legacy: Running) -> None:
    port = legacy.url.rsplit(":", 1)[1]

    assert port in refusal(LEGACY, "--port", port)
