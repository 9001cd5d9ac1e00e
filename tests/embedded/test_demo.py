import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from embedded.control import Control
from embedded.layout import any_ports
from embedded.places import runtime_directory
from embedded.postgres import Postgres

pytestmark = pytest.mark.alone

ROOT = Path(__file__).resolve().parents[2]
#: far more than it takes: the machine may be busy with other things
UP_SECONDS = 90


class Run:
    """One `bin/demo` on its own data and ports."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.ports = any_ports()
        self.output = state.parent / f"{state.name}.out"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "embedded.demo", "--data", str(self.state), "--robots", "6", *arguments]

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
        return {**kept, **{name: str(port) for name, port in self.ports.items()}}

    @property
    def control(self) -> Control:
        return Control(runtime_directory(self.state) / "control.sock")

    def begin(self, *arguments: str) -> None:
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                self.command(*arguments), cwd=ROOT, env=self.env, stdout=out, stderr=out, start_new_session=True
            )
        until(lambda: "Ctrl-C stops everything" in self.told() or self.process.poll() is not None, UP_SECONDS)
        assert self.process.poll() is None, self.told()

    def told(self) -> str:
        return self.output.read_text()

    def pids(self) -> dict[str, int]:
        return {name: each["pid"] for name, each in self.control.status()["processes"].items()}

    def end(self, wanted: signal.Signals = signal.SIGTERM) -> int:
        assert self.process
        self.process.send_signal(wanted)
        return self.process.wait(60)

    def query(self, statement: str) -> int:
        with psycopg.connect(self.control.status()["environment"]["DATABASE_URL"]) as connection:
            row = connection.execute(statement).fetchone()  # type: ignore[arg-type]
            assert row is not None
            return int(row[0])


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def run() -> Iterator[Run]:
    home = Path(tempfile.mkdtemp(prefix="lekiwi-test-demo-"))
    home.chmod(0o711)
    made = Run(home / "demo")
    yield made
    if made.process and made.process.poll() is None:
        made.end()
    Postgres(made.state / "postgres", runtime_directory(made.state)).remove()
    for directory in (home, runtime_directory(made.state)):
        subprocess.run(["rm", "-rf", str(directory)], check=True)


@pytest.mark.timeout(300)
def test_the_whole_system_comes_up_heals_survives_kill_9_of_its_runner_and_goes_down(run: Run) -> None:
    run.begin()

    told = run.told()
    assert f"http://127.0.0.1:{run.ports['OWN_DOOR_PORT']}/" in told
    for role in ("migration_lead", "infrastructure", "backend", "monitoring", "qa", "on_call"):
        assert role in told
    pids = run.pids()
    assert set(pids) == {
        *("postgres", "redis", "legacy", "ingest", "site", "live", "worker", "beat"),
        *("watchdog", "watchdog-standby", "route-agent", "watcher", "watcher-standby", "relay"),
        *("teleop-watcher", "teleop-watcher-standby", "sync", "notifier", "envoy", "fleet"),
    }
    health = urllib.request.urlopen(f"http://127.0.0.1:{run.ports['OWN_DOOR_PORT']}/api/v2/health", timeout=10)
    for old in ("OLD_VALIDATION_PORT", "OLD_WEBSOCKET_PORT"):  # old runbooks ask there
        assert urllib.request.urlopen(f"http://127.0.0.1:{run.ports[old]}/api/v2/health", timeout=10).status == 200
    assert health.status == 200
    heard = f"http://127.0.0.1:{run.ports['LEGACY_PORT']}/api/robots"
    until(lambda: len(json.load(urllib.request.urlopen(heard, timeout=10))) == 6)

    second = subprocess.run(run.command(), cwd=ROOT, env=run.env, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert second.stderr.strip().startswith(f"demo: a demo already runs on {run.state} (process ")

    os.kill(pids["worker"], signal.SIGKILL)
    until(lambda: "worker is running again" in run.told())
    assert "worker died (signal SIGKILL)" in run.told()

    migrations = run.query("SELECT count(*) FROM django_migrations")
    left = [psutil.Process(pid) for pid in run.pids().values()]
    run.control.signal("site", signal.SIGSTOP)
    run.end(signal.SIGKILL)
    run.begin("--no-fleet")
    assert not [process for process in left if process.is_running()]
    assert run.query("SELECT count(*) FROM django_migrations") == migrations
    assert run.query("SELECT count(*) FROM heartbeat_enrolmenttoken") == 1
    assert "fleet" not in run.pids()

    every = [*run.pids().values()]
    assert run.end(signal.SIGINT) == 0
    assert not [pid for pid in every if psutil.pid_exists(pid)]


def test_a_port_that_is_taken_stops_the_start_before_anything_runs(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", run.ports["SITE_PORT"]))
        taken.listen()

        done = subprocess.run(run.command(), cwd=ROOT, env=run.env, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    port = run.ports["SITE_PORT"]
    remedy = "stop what listens there or set SITE_PORT to another port"
    assert done.stderr == f"demo: port {port} for the site is taken: {remedy}\n"
    assert not (run.state / "postgres").exists()
