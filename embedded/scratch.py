"""`python -m embedded.scratch`: a scratch copy of `new` for calls with effects, on a database of its own.

It takes the server of DATABASE_URL and the deployments of LEGACY_URL, prints where it listens, and drops the database
when it is told to stop.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from embedded.conditions import answers
from embedded.layout import ROOT
from embedded.ports import LOOPBACK, free_port
from embedded.programs import ingest_arguments

READY_SECONDS = 30.0
#: in one process: each start of Django costs a second
_PREPARE = """
from django.core.management import call_command
from migration.deployments import copy_from_legacy
call_command("migrate", skip_checks=True, verbosity=0)
copy_from_legacy()
"""


def main() -> int:
    """Serve until SIGTERM. 1 when it could not be started."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = os.environ["DATABASE_URL"]
    name = f"scratch_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            return _serve(urlsplit(server)._replace(path=f"/{name}").geturl(), stop)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _serve(database_url: str, stop: threading.Event) -> int:
    env = {**os.environ, "DATABASE_URL": database_url}
    manage = [sys.executable, "-W", "ignore", str(Path(ROOT) / "manage.py")]
    quiet = {"cwd": ROOT, "env": env, "stdout": sys.stderr}
    subprocess.run([*manage, "shell", "-v", "0", "-c", _PREPARE], check=True, **quiet)
    port = free_port()
    process = subprocess.Popen([sys.executable, *ingest_arguments(str(port))], **quiet)
    try:
        if not _is_ready(port, process, stop):
            print("the scratch copy did not become ready", file=sys.stderr)
            return 1
        print(f"scratch new listening on http://{LOOPBACK}:{port}", flush=True)
        stop.wait()
    finally:
        process.terminate()
        process.wait(timeout=10)
    return 0


def _is_ready(port: int, process: "subprocess.Popen[bytes]", stop: threading.Event) -> bool:
    condition = answers(port, "/health")
    for _ in range(int(READY_SECONDS / 0.05)):
        if process.poll() is not None or stop.wait(0.05):
            return False
        if asyncio.run(condition()):
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
