"""The simulator's programs as processes of their own, as everybody else runs them."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Running:
    """A program that listens; `url` is what it announced."""

    url: str
    process: subprocess.Popen[str]

    def ask(self, method: str, path: str, content: Any = None) -> tuple[int, Any]:
        """Status and parsed body (text, where it is not JSON)."""
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.url + path, body, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
                return answer.status, _parsed(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _parsed(error.read())

    def beat(self, robot_id: str, **changes: Any) -> None:
        """Send a heartbeat that is accepted."""
        services = {"teleop": "inactive", "lekiwi": "active"}
        body = {"robot_id": robot_id, "status": "idle", "health": {"services": services}} | changes
        assert self.ask("POST", "/api/robot/status", body) == (200, {"status": "updated"})


@contextlib.contextmanager
def listening(module: str, *flags: str, port: int = 0) -> Iterator[Running]:
    """Run `python -m module --port …` until the block ends."""
    command = [sys.executable, "-m", module, "--port", str(port), *flags]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        announcement = process.stdout.readline()
        assert " listening on " in announcement, f"{module} did not start: {announcement!r}"
        yield Running(announcement.split()[-1], process)
    finally:
        process.terminate()
        process.wait(DEADLINE_SECONDS)
        process.stdout.close()


@contextlib.contextmanager
def fleet(door: str, ledger: Path, *flags: str) -> Iterator[subprocess.Popen[str]]:
    """Run `python -m simulator.fleet` until the block ends; stopping it twice is harmless."""
    command = [sys.executable, "-m", "simulator.fleet", "--door", door, "--ledger", str(ledger), *flags]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE_SECONDS)


def refusal(module: str, *flags: str) -> str:
    """What a program says on stderr when it will not start with these flags; it must exit 2."""
    command = [sys.executable, "-m", module, *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert done.returncode == 2, done
    return done.stderr


def until(condition: Callable[[], Any], what: str) -> Any:
    """Ask again until the answer is true; return it."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        if result := condition():
            return result
        assert time.monotonic() < deadline, f"waited {DEADLINE_SECONDS:.0f} s in vain: {what}"
        time.sleep(0.05)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()
