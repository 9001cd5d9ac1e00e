"""A database that dies, hangs or is not there yet: nothing acknowledged is lost, and ingest comes back by itself."""

import asyncio
import contextlib
import itertools
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from embedded.places import runtime_directory
from embedded.postgres import Postgres
from tests.databases import manage
from tests.heartbeat.conftest import ENROLLED, body, issue_token, marks
from tests.heartbeat.running import eventually, ingest, status_of, unready_ingest

#: the door gives a try one second; whoever answers later is not heard
DOOR_SECONDS = 1.0

pytestmark = pytest.mark.alone


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    """A PostgreSQL of the test's own that writes to the disk as in production."""
    state = tmp_path / "pg"
    state.mkdir()
    server = Postgres(state / "data", runtime_directory(state))
    server.start()
    manage(server.url, "migrate", "heartbeat", "--skip-checks", "-v", "0")
    yield server
    server.stop()
    server.remove()


def post(base_url: str, name: str = "r", seconds: float = 10.0) -> httpx.Response:
    return httpx.post(f"{base_url}/api/robot/status", json=body(name), headers=marks(), timeout=seconds)


async def heartbeats_until(
    stop: asyncio.Event, base_url: str, acknowledged: set[uuid.UUID], refused: list[int]
) -> None:
    """Sends one heartbeat after the other and writes down which were acknowledged. Robots in turn: each has a pace."""
    names = itertools.cycle(f"r{number}" for number in range(100))
    async with httpx.AsyncClient(base_url=base_url, timeout=10) as client:
        while not stop.is_set():
            request_id = uuid.uuid4()
            with contextlib.suppress(httpx.TransportError):
                answer = await client.post(
                    "/api/robot/status", json=body(next(names)), headers=marks(request_id=request_id)
                )
                if answer.status_code == 200:
                    acknowledged.add(request_id)
                else:
                    refused.append(answer.status_code)


async def test_a_database_killed_under_load_loses_nothing_acknowledged(postgres: Postgres, tmp_path: Path) -> None:
    acknowledged: set[uuid.UUID] = set()
    refused: list[int] = []
    stop = asyncio.Event()

    async def until(holds: Callable[[], bool]) -> None:
        await asyncio.to_thread(eventually, holds)

    with ingest(postgres.url, tmp_path) as base_url:
        robots = [asyncio.create_task(heartbeats_until(stop, base_url, acknowledged, refused)) for _ in range(8)]
        for _ in range(2):
            enough = len(acknowledged) + 200
            await until(lambda enough=enough: len(acknowledged) >= enough)
            assert postgres.pid
            os.kill(postgres.pid, signal.SIGKILL)
            seen = len(refused)
            await until(lambda seen=seen: len(refused) > seen)
            await asyncio.to_thread(postgres.start)
        enough = len(acknowledged) + 200
        await until(lambda: len(acknowledged) >= enough)
        stop.set()
        await asyncio.gather(*robots)

    with psycopg.connect(postgres.url) as connection:
        stored = {row[0] for row in connection.execute("SELECT request_id FROM heartbeat_heartbeat")}
    assert acknowledged - stored == set()
    assert set(refused) == {503}


def test_while_the_database_is_gone_robots_are_told_when_to_come_back(postgres: Postgres, tmp_path: Path) -> None:
    known = {"authorization": f"Bearer {issue_token(postgres.url)}"}
    said = {"robot_id": ENROLLED}
    with ingest(postgres.url, tmp_path) as base_url:
        eventually(lambda: httpx.post(f"{base_url}/api/v2/heartbeat", json=said, headers=known).status_code == 200)
        postgres.stop()
        eventually(lambda: post(base_url).status_code == 503)

        waits = {int(post(base_url).headers["retry-after"]) for _ in range(50)}
        problem = httpx.post(f"{base_url}/api/v2/heartbeat", json=said, headers=known)

        assert waits == {1, 2, 3}
        assert problem.status_code == 503
        assert problem.headers["content-type"] == "application/problem+json"
        assert httpx.get(f"{base_url}/health").status_code == 503
        assert httpx.get(f"{base_url}/api/robots").status_code == 503
        postgres.start()
        eventually(lambda: post(base_url).status_code == 200)
        assert httpx.get(f"{base_url}/health").json()["robots"] == 2


def test_a_database_that_hangs_is_answered_before_the_door_gives_up(postgres: Postgres, tmp_path: Path) -> None:
    with ingest(postgres.url, tmp_path) as base_url:
        assert post(base_url).status_code == 200
        processes = _processes_of(postgres)
        try:
            for pid in processes:
                os.kill(pid, signal.SIGSTOP)
            # The first waits for its commit; the door would have asked the other system after its second.
            answers = [post(base_url, seconds=DOOR_SECONDS) for _ in range(3)]
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)

        assert {answer.status_code for answer in answers} == {503}
        eventually(lambda: post(base_url).status_code == 200)


def test_a_row_that_somebody_locks_holds_robots_up_for_less_than_a_second(postgres: Postgres, tmp_path: Path) -> None:
    with ingest(postgres.url, tmp_path) as base_url:
        post(base_url, "locked")
        with psycopg.connect(postgres.url) as connection:
            connection.execute("SELECT FROM heartbeat_robot WHERE key = 'locked' FOR UPDATE")
            assert post(base_url, "locked").status_code == 503

        eventually(lambda: post(base_url, "locked").status_code == 200)


def test_ingest_may_start_before_its_database(postgres: Postgres, tmp_path: Path) -> None:
    postgres.stop()

    with unready_ingest(postgres.url, tmp_path) as port:
        eventually(lambda: status_of(port, "/health") == 503)
        postgres.start()
        eventually(lambda: status_of(port, "/health") == 200)

        assert post(f"http://127.0.0.1:{port}").status_code == 200


def _processes_of(postgres: Postgres) -> list[int]:
    assert postgres.pid
    server = psutil.Process(postgres.pid)
    return [server.pid, *(child.pid for child in server.children())]
