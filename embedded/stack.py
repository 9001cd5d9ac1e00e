"""A whole system for a test or a benchmark: what `bin/demo` starts, on free ports, in a directory that is removed."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from embedded.control import Control, ControlError
from embedded.layout import ROOT, Layout, any_ports
from embedded.places import runtime_directory
from embedded.statedir import enrolment_token_of, secret_key

UP_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Stack:
    """A running system."""

    state: Path
    ports: dict[str, int]
    control: Control
    environment: dict[str, str]

    def url(self, variable: str) -> str:
        """The address of a port variable."""
        return f"http://127.0.0.1:{self.ports[variable]}"

    @property
    def enrolment_token(self) -> str:
        """With which v2 robots get their own tokens."""
        return enrolment_token_of(self.state).read_text()

    def use_from_here(self) -> None:
        """Point this process's Django at the system, so that the use cases run here as they do in a worker."""
        os.environ.update(self.environment)
        os.environ["SECRET_KEY"] = secret_key(self.state)
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        os.environ["LOG_LEVEL"] = "ERROR"
        import django

        django.setup()

    def wait_until_well(self, *variables: str, seconds: float = 30.0) -> None:
        """Wait until the systems on these ports answer `/health` with 200."""
        deadline = time.monotonic() + seconds
        for variable in variables:
            while not _answers(f"{self.url(variable)}/health"):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{variable}: /health did not answer 200 within {seconds:.0f} s")
                time.sleep(0.05)


@contextmanager
def running(*, environment: dict[str, str] | None = None, with_monitoring: bool = False) -> Iterator[Stack]:
    """Start everything but the fleet, and stop it at the end."""
    place = Path(tempfile.mkdtemp(prefix="lekiwi-system-"))
    place.chmod(0o711)  # PostgreSQL of a root user passes through it as another account
    state = place / "state"
    ports = any_ports(with_monitoring=with_monitoring)
    flags = ["--with-monitoring"] if with_monitoring else []
    env = {**os.environ, **{name: str(port) for name, port in ports.items()}}
    # A rehearsal in between would fail the changes of the split that are measured.
    env |= {"REHEARSALS": "waived", **(environment or {})}
    for name in ("DATABASE_URL", "REDIS_URL", "STATE_DIR"):
        env.pop(name, None)
    log = (place / "demo.log").open("w")
    demo = subprocess.Popen(
        [sys.executable, "-m", "embedded.demo", "--no-fleet", "--data", str(state), *flags],
        cwd=ROOT,
        env=env,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    control = Control(runtime_directory(state) / "control.sock")
    try:
        told = _wait_until_up(demo, control, place / "demo.log")
        yield Stack(state, ports, control, told)
    finally:
        demo.terminate()
        demo.wait(timeout=60)
        log.close()
        layout = Layout(state, runtime_directory(state), ports, robots=0)
        for left in (layout.wal_archive, layout.runtime, place):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def fleet(
    door: str, robots: int, ledger: Path, *flags: str, enrolment_token: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Robots that speak once a second until the block ends, with more `flags` of theirs; yields their process."""
    command = [sys.executable, "-m", "simulator.fleet", "--door", door, "--robots", str(robots), "--interval", "1"]
    command += ["--ledger", str(ledger), *flags]
    env = {**os.environ, **({"FLEET_ENROLMENT_TOKEN": enrolment_token} if enrolment_token else {})}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


def failing(port: int) -> list[str]:
    """The command of a stand-in that answers 500 to everything."""
    return [sys.executable, "-m", "simulator.failing", "--port", str(port), "--status", "500"]


def _wait_until_up(demo: subprocess.Popen[bytes], control: Control, log: Path) -> dict[str, str]:
    deadline = time.monotonic() + UP_SECONDS
    while time.monotonic() < deadline:
        if demo.poll() is not None:
            break
        try:
            status = control.status()
        except ControlError:
            time.sleep(0.2)
            continue
        if status["up"]:
            return dict(status["environment"])
        time.sleep(0.2)
    raise RuntimeError(f"the system did not come up:\n{log.read_text()[-2000:]}")


def counted(port: int) -> dict[str, int]:
    """What the failing stand-in answered so far, by call."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_sim/count", timeout=5) as answer:
        return dict(json.loads(answer.read())["by_call"])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
