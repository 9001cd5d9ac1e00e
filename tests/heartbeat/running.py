"""The processes of the heartbeat system, run as they are in production, each with a database of its own."""

import contextlib
import http.client
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from embedded.ports import free_port
from embedded.programs import ingest_arguments
from tests.databases import ROOT, environment

PATIENCE_SECONDS = 30.0


@contextlib.contextmanager
def ingest(database_url: str, directory: Path) -> Iterator[str]:
    """Run ingest and wait until it is healthy; yields its base URL."""
    with unready_ingest(database_url, directory) as port:
        _wait_until_healthy(port, directory / "ingest.log")
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def unready_ingest(database_url: str, directory: Path) -> Iterator[int]:
    """Run ingest, whatever its database does; yields its port."""
    port = free_port()
    command = [sys.executable, *ingest_arguments(str(port))]
    with _process(command, database_url, directory / "ingest.log"):
        yield port


@contextlib.contextmanager
def site(database_url: str, directory: Path) -> Iterator[str]:
    """Run the site until it is healthy; yields its base URL."""
    port = free_port()
    command = [sys.executable, "-m", "daphne", "config.asgi:application", "-p", str(port), "-v", "0"]
    with _process(command, database_url, directory / "site.log"):
        _wait_until_healthy(port, directory / "site.log")
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _process(command: list[str], database_url: str, log_path: Path) -> Iterator[None]:
    with log_path.open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(database_url), stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(port: int, log_path: Path) -> None:
    eventually(lambda: status_of(port, "/health") == 200, lambda: log_path.read_text()[-3000:])


def status_of(port: int, path: str) -> int | None:
    """The status of a GET, None when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def eventually(holds: Callable[[], bool], explain: Callable[[], str] = str, seconds: float = PATIENCE_SECONDS) -> None:
    """Ask `holds()` until it is true; fail with `explain()` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.02)
