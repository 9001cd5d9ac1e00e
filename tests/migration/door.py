"""A real robots' door: Envoy from its wheel, with stub systems behind it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embedded.envoy import TEMPLATE, Envoy
from embedded.ports import free_ports
from migration.drivers.route_file import Routed, RouteFile
from migration.rules.routes import RoutePlan
from tests.migration.stub_system import Behaviour

ROOT = Path(__file__).resolve().parents[2]
STATUS, CHECK = "/api/robot/status", "/api/check-update"


@dataclass(frozen=True)
class Answer:
    """What a robot got."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def system(self) -> str | None:
        """Who answered, as the door tells it."""
        return self.headers.get("x-answered-by")

    def json(self) -> Any:
        return json.loads(self.body)


class System:
    """A stub system in a process of its own."""

    def __init__(self, name: str, port: int = 0) -> None:
        self.name = name
        self.port = port
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.migration.stub_system", self.name, str(self.port)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        assert self._process.stdout is not None
        self.port, self._control = json.loads(self._process.stdout.readline())

    def _ask(self, method: str, body: str = "") -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._control, timeout=10)
        connection.request(method, "/", body)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def heard(self, path: str | None = None) -> list[dict[str, Any]]:
        """What it heard since `forget`, without the bare health checks."""
        return [each for each in self._ask("GET") if path is None or each["path"].partition("?")[0] == path]

    def forget(self) -> None:
        self._ask("DELETE")

    def behave(self, **told: Any) -> None:
        """Answer like this from now on."""
        self._ask("PUT", json.dumps(asdict(Behaviour(**told))))

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def revive(self) -> None:
        """Be there again, well-behaved, with nothing heard."""
        if self._process.poll() is None:
            self.thaw()
            self.behave()
            self.forget()
        else:
            self._start()

    def stop(self) -> None:
        if self._process.poll() is None:
            self.kill()
        if self._process.stdout:
            self._process.stdout.close()


class Door:
    """Envoy between robots and stub systems: `legacy`, `new` (ingest), `site`, `live`."""

    def __init__(self, state: Path) -> None:
        self.legacy, self.new = System("legacy"), System("new")
        self.site, self.live = System("site"), System("live")
        robots, own, admin = free_ports(3)
        self.ports = {
            "ROBOTS_DOOR_PORT": robots,
            "OWN_DOOR_PORT": own,
            "ENVOY_ADMIN_PORT": admin,
            "LEGACY_PORT": self.legacy.port,
            "INGEST_PORT": self.new.port,
            "SITE_PORT": self.site.port,
            "LIVE_PORT": self.live.port,
        }
        self.file = RouteFile(state)
        self.envoy = Envoy(state, TEMPLATE, self.ports)
        self.file.initialise(RoutePlan.preparation())
        self.envoy.start()

    def __enter__(self) -> "Door":
        return self

    def __exit__(self, *_: object) -> None:
        self.envoy.stop()
        for system in self.systems:
            system.stop()

    @property
    def systems(self) -> tuple[System, ...]:
        return (self.legacy, self.new, self.site, self.live)

    def route(self, plan: RoutePlan) -> Routed:
        """Bring a plan into force."""
        routed = self.file.write(plan, because="a test", by="test")
        self.await_route(routed)
        return routed

    def await_route(self, routed: Routed) -> None:
        """Wait until the door runs a route and its filter."""
        wait_for(lambda: f'rds.fleet.version_text: "{routed.version}"' in self.admin("/stats?filter=rds.fleet"))
        wait_for(
            lambda: (
                f'robots.version_text: "{routed.filter_version}"'
                in self.admin("/stats?filter=extension_config_discovery")
            )
        )

    def admin(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["ENVOY_ADMIN_PORT"], timeout=10)
        connection.request("GET", path)
        body = connection.getresponse().read().decode()
        connection.close()
        return body

    def fresh(self) -> None:
        """Everything alive, well-behaved, with nothing heard; a new Envoy with new counters and nothing ejected."""
        for system in self.systems:
            system.revive()
        self.envoy.stop()
        self.envoy.start()

    def robot(self, port: str = "ROBOTS_DOOR_PORT") -> "Robot":
        return Robot(self.ports[port])

    def call(self, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Answer:
        """One call at the robots' door. Underscores in header names stand for dashes."""
        with self.robot() as robot:
            return robot.call(method, path, body, **headers)

    def beat(self, robot_id: str) -> Answer:
        """One heartbeat."""
        with self.robot() as robot:
            return robot.beat(robot_id)

    def beats(self, robot_ids: Iterable[str], workers: int = 8) -> dict[str, Answer]:
        """A heartbeat of each robot, over a few connections; answers by robot."""
        queue = list(robot_ids)

        def work(mine: list[str]) -> list[tuple[str, Answer]]:
            with self.robot() as robot:
                return [(robot_id, robot.beat(robot_id)) for robot_id in mine]

        with ThreadPoolExecutor(workers) as pool:
            return dict(pair for part in pool.map(work, (queue[i::workers] for i in range(workers))) for pair in part)


class Robot:
    """One connection that is kept alive."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)

    def __enter__(self) -> "Robot":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def call(self, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Answer:
        self.ask(method, path, body, **headers)
        return self.answer()

    def ask(self, method: str, path: str, body: bytes | str | None = None, **headers: str) -> None:
        """Begin a call, whose `answer` is read later."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, path, body.encode() if isinstance(body, str) else body, named)

    def answer(self) -> Answer:
        """What came of it."""
        answer = self._connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def beat(self, robot_id: str) -> Answer:
        self.begin_beat(robot_id)
        return self.answer()

    def begin_beat(self, robot_id: str) -> None:
        self.ask("POST", STATUS, json.dumps({"robot_id": robot_id, "status": "idle"}))


def wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Poll until the condition holds and return what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.01)
    return found


def is_running(pid: int) -> bool:
    """Say whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
