"""A real legacy server for a module's tests, empty at the start of each, and sync that looks at it here."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from migration import routing
from migration.rules.phases import phase_of
from migration.syncing.running import Sync

ROOT = Path(__file__).resolve().parents[3]


class Legacy:
    """The simulated legacy server and what a test does to it."""

    def __init__(self, directory: Path, *flags: str) -> None:
        command = [sys.executable, "-m", "simulator.legacy", "--port", "0", "--look-seconds", "0.01"]
        command += ["--deployments", str(directory / "deployments.json"), "--packages", str(directory / "packages")]
        self.process = subprocess.Popen([*command, *flags], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.url = self.process.stdout.readline().split()[-1]
        self.client = httpx.Client(base_url=self.url)
        self.deployments = self.client.get("/_sim/state").json()["deployments"]

    def hold(self, robots: dict[str, Any], deployments: list[Any] | None = None) -> None:
        """Have exactly these rows, by key."""
        state = {"robots": robots, "deployments": self.deployments if deployments is None else deployments}
        self.client.put("/_sim/state", json=state).raise_for_status()

    def beat(self, robot_id: str, **fields: Any) -> None:
        """A robot speaks to legacy, and to nobody else."""
        said = {"robot_id": robot_id, "status": "idle", "version": "v1.2.0", **fields}
        self.client.post("/api/robot/status", json=said).raise_for_status()

    def rows(self) -> dict[str, Any]:
        """What it holds, by key."""
        return dict(self.client.get("/_sim/state").json()["robots"])

    def close(self) -> None:
        """Stop it."""
        self.client.close()
        self.process.terminate()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Legacy]:
    made = Legacy(tmp_path_factory.mktemp("legacy"))
    yield made
    made.close()


@pytest.fixture
def legacy(server: Legacy, settings: Any, tmp_path: Path, db: None) -> Legacy:
    """An empty legacy; the fleet is in Canary 10 %."""
    settings.LEGACY_URL = server.url
    settings.ENVOY_STATE_DIR = tmp_path / "envoy"
    settings.STATE_DIR = tmp_path
    route("canary_10")
    server.hold({})
    return server


def route(slug: str) -> None:
    """Bring a phase's split into the route file."""
    file = routing.route_file()
    plan = routing.plan_for(phase_of(slug), {})
    if (file.directory / "routes" / "routes.json").exists():
        file.write(plan, because="a test", by="test")
    else:
        file.initialise(plan)


@pytest.fixture
def sync(legacy: Legacy) -> Iterator[Sync]:
    """A sync that a test lets look."""
    made = Sync()
    yield made
    made.close()


def row(robot_id: str = "Lekiwi_00000001", seconds_ago: float = 3.0, **changes: Any) -> dict[str, Any]:
    """A row as legacy keeps it, heard a while ago: longer than a copy is on its way."""
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    usual = {"robot_id": robot_id, "deployment_id": None, "version": "v1.2.0", "status": "idle", "message": None}
    usual |= {"health": {"services": {"teleop": "inactive"}}, "last_seen": local(at)}
    return usual | changes


def local(moment: datetime) -> str:
    """As legacy writes it."""
    return moment.astimezone().replace(tzinfo=None).isoformat()


def settle(sync: Sync, holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Let sync look until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not come true in time"
        sync.look()
