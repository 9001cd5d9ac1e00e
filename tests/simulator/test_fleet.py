"""The fleet as a process: what it sends, what it notes, how it ends."""

import itertools
import json
import socket
import statistics
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from simulator.fleet.robot import build_fleet, kinds
from simulator.ledger import CHECK_UPDATE, DOWNLOAD, read_ledger, read_truths
from tests.simulator.running import fleet, listening, refusal, until

FLEET = "simulator.fleet"
QUICK = ("--robots", "6", "--interval", "0.1", "--check-update-every", "0.5")


class Listener(ThreadingHTTPServer):
    """Takes every heartbeat as it comes and keeps its bytes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Listener

    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self._answer({"status": "updated"})

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self._answer({"update_available": False})

    def _answer(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_heartbeat_has_exactly_what_a_real_robot_sends(listener: Listener, tmp_path: Path) -> None:
    with fleet(listener.url, tmp_path / "ledger", *QUICK):
        until(lambda: len(listener.bodies) > 20 and len(listener.paths) > 5, "some rounds")

    for body in listener.bodies:
        assert list(body) == ["robot_id", "deployment_id", "version", "status", "message", "health"]
        assert list(body["health"]) == ["services", "timestamp"]
        assert list(body["health"]["services"]) == ["teleop", "lekiwi"]
        assert body["status"] in ("idle", "downloading", "deploying", "success", "failed")
        assert "+" not in body["health"]["timestamp"]
        assert not body["health"]["timestamp"].endswith("Z")
    assert len({body["robot_id"] for body in listener.bodies}) == 6
    assert all(path.startswith("/api/check-update?robot_id=") for path in listener.paths)


def test_the_ledger_says_who_acknowledged_which_request(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with listening("simulator.failing", "--status", "200", "--answered-by", "new") as door:
        with fleet(door.url, path, *QUICK) as process:
            until(lambda: path.exists() and read_ledger(path).update_checks.sent >= 6, "update checks in the ledger")
            process.terminate()
            process.wait(10)
        _, count = door.ask("GET", "/_sim/count")

    ledger = read_ledger(path)
    assert process.returncode == 0
    assert ledger.failures == 0
    assert ledger.heartbeats.sent == ledger.heartbeats.acknowledged_by_new == count["by_call"]["POST /api/robot/status"]
    assert len(ledger.request_ids("new")) == ledger.heartbeats.sent
    assert not ledger.request_ids("new") & ledger.request_ids("new", CHECK_UPDATE)
    assert ledger.summary is not None
    assert ledger.summary["requests"] == ledger.sent == count["total"]


def test_what_a_robot_sees_fail_is_counted_by_its_kind(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with listening("simulator.failing", "--status", "503") as door, fleet(door.url, path, *QUICK):
        until(lambda: path.exists() and read_ledger(path).heartbeats.failed_with["503"] > 6, "503s are noted")
        door.process.terminate()
        door.process.wait(10)
        until(lambda: read_ledger(path).heartbeats.failed_with["refused"] > 6, "a dead door is noted")

    assert read_ledger(path).acknowledged == 0


def test_before_the_door_ever_answered_nothing_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    with fleet(f"http://127.0.0.1:{port}", path, *QUICK) as process:
        assert process.stdout is not None
        assert "waiting for" in process.stdout.readline()
        with listening("simulator.failing", "--status", "200", port=port):
            until(lambda: path.exists() and read_ledger(path).acknowledged > 6, "the fleet has begun")
            process.terminate()
            process.wait(10)

    assert read_ledger(path).failures == 0


def test_a_request_under_way_at_the_end_is_neither_acknowledged_nor_failed(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    slow = ("--mode", "slow", "--slow-seconds", "4", "--status", "200")
    with listening("simulator.failing", *slow) as door, fleet(door.url, path, *QUICK) as process:
        until(lambda: door.ask("GET", "/_sim/count")[1]["total"] >= 5, "several requests are under way")
        process.terminate()
        process.wait(10)

    ledger = read_ledger(path)
    assert process.returncode == 0
    assert ledger.failures == 0
    assert ledger.sent > ledger.acknowledged
    assert ledger.summary is not None


def test_robots_take_up_an_update_and_report_each_step(tmp_path: Path) -> None:
    path, deployments = tmp_path / "ledger", tmp_path / "deployments.json"
    eager = ("--update-share", "1", "--robots", "8", "--interval", "0.1", "--check-update-every", "0.3")
    with (
        listening("simulator.legacy", "--deployments", str(deployments), "--look-seconds", "0") as legacy,
        fleet(legacy.url, path, *eager),
    ):
        until(lambda: "success" in _said(path, "status"), "a robot has deployed what it was offered")
        _, rows = legacy.ask("GET", "/api/robots")

    assert {"idle", "downloading", "deploying", "success"} <= _said(path, "status")
    assert read_ledger(path).calls[DOWNLOAD].acknowledged > 0
    assert read_ledger(path).failures == 0
    assert any(row["status"] == "success" and row["message"] == "Deployed successfully" for row in rows)


def test_vanished_robots_fall_silent_and_return(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with (
        listening("simulator.failing", "--status", "200") as door,
        fleet(door.url, path, *QUICK, "--vanish", "2@0.5+1"),
    ):
        until(lambda: path.exists() and len(_moments(path, "returned")) == 2, "both robots are back")
        back = {robot for robot, _ in _moments(path, "returned")}
        heard = read_ledger(path).by_robot
        until(lambda: all(read_ledger(path).by_robot[r].sent > heard[r].sent for r in back), "they report again")

    gone = dict(_moments(path, "vanished"))
    for robot, returned in _moments(path, "returned"):
        assert [sent for sent in _sent_by(path, robot) if gone[robot] < sent < returned] == []


def test_a_silence_ends_in_a_burst_that_loses_nothing(listener: Listener, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with fleet(listener.url, path, "--robots", "1", "--interval", "0.1", "--burst", "1@0.5"):
        until(lambda: len(listener.bodies) > 25, "the silence is over")

    skew = next(value["clock_skew_seconds"] for _, _, what, value in read_truths(path) if what == "robot")
    clocks = [datetime.fromisoformat(body["health"]["timestamp"]).timestamp() - skew for body in listener.bodies]
    (robot,) = _robots(path)
    silence, spoke_again = max(itertools.pairwise(_sent_by(path, robot)), key=lambda pair: pair[1] - pair[0])
    held_back = [clock for clock in clocks if silence + 0.05 < clock < spoke_again - 0.05]
    assert len(held_back) >= 5


def test_duplicates_are_two_requests_and_reordered_ones_arrive_behind_a_newer_one(
    listener: Listener, tmp_path: Path
) -> None:
    flags = ("--robots", "1", "--interval", "0.05", "--duplicate-share", "0.3", "--reorder-share", "0.3")
    with fleet(listener.url, tmp_path / "ledger", *flags):
        until(lambda: len(listener.bodies) > 60, "enough heartbeats")

    clocks = [body["health"]["timestamp"] for body in listener.bodies]
    assert len(set(clocks)) < len(clocks)
    assert clocks != sorted(clocks)


def test_a_slow_link_is_slow_and_still_heard(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with listening("simulator.failing", "--status", "200") as door, fleet(door.url, path, *QUICK, "--slow-share", "1"):
        until(lambda: path.exists() and read_ledger(path).acknowledged > 12, "slow robots are heard")

    assert read_ledger(path).failures == 0
    # The first request is the fleet's knock at the door, which is quick.
    assert min(_latencies(path)[1:]) >= 200


def test_the_same_seed_gives_the_same_fleet_half_of_each_kind() -> None:
    one, same, other = (build_fleet(100, seed, 1.0, 0.1, 0.0) for seed in (7, 7, 8))

    assert one == same != other
    assert sorted(kinds()) == ["lekiwi", "xle"]
    assert sum(robot.kind == "lekiwi" for robot in one) == 50
    assert len({robot.robot_id.lower() for robot in one}) == 100
    assert {len(robot.motors) for robot in one} == {9, 17}
    assert len({robot.clock_skew_seconds for robot in one}) > 50
    assert 0.95 <= min(robot.interval_seconds for robot in one) < statistics.mean(r.interval_seconds for r in one)


def test_the_truth_of_every_robot_is_in_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with listening("simulator.failing", "--status", "200") as door, fleet(door.url, path, *QUICK):
        until(lambda: path.exists() and read_ledger(path).acknowledged > 12, "every robot has reported")

    told: dict[str, set[str]] = {}
    for _, robot, what, _ in read_truths(path):
        told.setdefault(what, set()).add(robot)
    everyone = _robots(path)
    assert len(everyone) == 6
    assert told["teleop"] == told["software"] == told["motor_temperature_celsius"] == everyone


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (("--door", "ftp://x"), "http://"),
        (("--door", "http://127.0.0.1:1", "--vanish", "some"), "N@T"),
        (("--door", "http://127.0.0.1:1", "--slow-share", "2"), "between 0 and 1"),
        (("--door", "http://127.0.0.1:1", "--robots", "0"), "greater than 0"),
        (("--door", "http://127.0.0.1:1", "--ledger", "/dev/null/x"), "/dev/null/x"),
        ((), "--door"),
    ],
)
def test_a_wrong_argument_is_named(flags: tuple[str, ...], word: str) -> None:
    assert word in refusal(FLEET, *flags)


def _lines(path: Path) -> list[list[Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def _robots(path: Path) -> set[str]:
    return {robot for _, robot, what, _ in read_truths(path) if what == "robot"}


def _said(path: Path, field: str) -> set[str]:
    return {value[field] for _, _, what, value in read_truths(path) if what == "software"} if path.exists() else set()


def _moments(path: Path, what: str) -> list[tuple[str, float]]:
    return [(robot, wall) for wall, robot, said, _ in read_truths(path) if said == what]


def _sent_by(path: Path, robot: str) -> list[float]:
    return [line[2] for line in _lines(path) if line[0] == "request" and line[3] == robot and line[4] == "status"]


def _latencies(path: Path) -> list[float]:
    return [line[8] for line in _lines(path) if line[0] == "request"]
