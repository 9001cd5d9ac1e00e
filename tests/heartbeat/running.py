"""The processes of the heartbeat system, run as they are in production, each with a database of its own."""

import contextlib
import http.client
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from embedded.ports import free_port
from embedded.programs import ingest_arguments

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 30.0


def own_database(server_url: str, app: str | None = "heartbeat") -> str:
    """Make a database on the server of `server_url` and migrate it: one app's tables, or all; returns its URL."""
    name = f"t_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    url = urlsplit(server_url)._replace(path=f"/{name}")
    # An empty host part must stay: postgres://user@/name?host=…
    text = url.geturl()
    manage(text, "migrate", *([app] if app else []), "--skip-checks", "-v", "0")
    return text


def manage(database_url: str, *arguments: str) -> str:
    """Run a management command on a database; returns what it said."""
    command = [sys.executable, "-W", "ignore", "manage.py", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=_environment(database_url), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


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
        process = subprocess.Popen(command, cwd=ROOT, env=_environment(database_url), stdout=log, stderr=log)
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


def _environment(database_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "SECRET_KEY": "only-for-tests",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
