"""What `benchmarks.fanout` measures in: services of its own, a fleet that changes, and live processes."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

from embedded.layout import ROOT
from embedded.places import runtime_directory
from embedded.ports import free_port
from embedded.postgres import Postgres
from embedded.programs import live_arguments
from embedded.redis import Redis

CHANGED_SHARE = 0.01
#: a busy machine starts Django in minutes
START_SECONDS = 300.0


@contextmanager
def services() -> Iterator[dict[str, str]]:
    """PostgreSQL and Redis of our own; yields the environment of the processes under test."""
    place = Path(tempfile.mkdtemp(prefix="lekiwi-fanout-"))
    place.chmod(0o711)  # PostgreSQL of a root user passes through it as another account
    runtime = runtime_directory(place)
    postgres, redis = Postgres(place / "postgres", runtime), Redis(place / "redis", runtime)
    postgres.start()
    try:
        redis.start()
        yield {
            **os.environ,
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "SECRET_KEY": secrets.token_hex(16),
            "STATE_DIR": str(place / "state"),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
        }
    finally:
        redis.stop()
        postgres.stop()
        for directory in (place, runtime):
            shutil.rmtree(directory, ignore_errors=True)


_FLEET = """
INSERT INTO heartbeat_robot (key, robot_id, bucket, kind_by_id, site, first_seen_at, last_seen_at, last_status_at,
                             last_v2_at, protocol, last_role, last_side, status, version, battery_percent,
                             interval_seconds, payload)
SELECT convert_to('lekiwi_' || lpad(to_hex(n), 8, '0'), 'UTF8'), 'Lekiwi_' || upper(lpad(to_hex(n), 8, '0')),
       n %% 10000,
       CASE WHEN n %% 5 = 0 THEN 'xle' ELSE 'lekiwi' END, 'site-' || n %% 12, now(), now(), now(), now(), 'v2', 'owner',
       CASE WHEN n %% 4 = 0 THEN 'legacy' ELSE 'new' END, 'idle', '2.7.' || n %% 3, n %% 101, 3600,
       json_build_object('teleop', json_build_object('command_age_ms', n), 'motors', repeat('x', 600))
FROM generate_series(1, %s) AS n
"""
#: as heartbeats do it: most say what they said before, 1 % of the robots something new
_CHANGE = """
UPDATE heartbeat_robot SET last_seen_at = now(), battery_percent = floor(random() * 101),
                           status = CASE status WHEN 'idle' THEN 'updating' ELSE 'idle' END
WHERE id %% %s = %s
"""


def prepare(robots: int, environment: dict[str, str]) -> str:
    """Make the tables, the fleet and somebody who is signed in; returns the cookie."""
    os.environ.update(environment)
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    os.environ["LOG_LEVEL"] = "ERROR"
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(_FLEET, [robots])
    client = Client()
    client.force_login(User.objects.create_user("watcher"))
    connection.close()
    return f"sessionid={client.cookies['sessionid'].value}"


@contextmanager
def changing(database_url: str, robots: int) -> Iterator[None]:
    """Change 1 % of the robots every second."""
    over = threading.Event()
    shares = round(1 / CHANGED_SHARE)

    def change() -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            turn = 0
            while not over.wait(1.0):
                turn = (turn + 1) % shares
                connection.execute(_CHANGE, [shares, turn])

    thread = threading.Thread(target=change, name="the fleet")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def server(environment: dict[str, str], application: str) -> Iterator[tuple[int, psutil.Process]]:
    """Run one live process; yields its port and the process."""
    port = free_port()
    command = [sys.executable, *live_arguments(str(port), application)]
    if application.endswith("group_send"):
        # its consumers know nothing of our sockets
        command[command.index("--ws") + 1] = "websockets-sansio"
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{application} did not start")
                time.sleep(0.1)
            yield port, psutil.Process(process.pid)
        finally:
            process.kill()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/login/", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
