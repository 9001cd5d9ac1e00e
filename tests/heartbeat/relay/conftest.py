"""A real legacy server, and the relay between it and the log."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from heartbeat.ingest import schema
from heartbeat.ingest.marks import marks_of
from heartbeat.ingest.recorder import Recorder
from heartbeat.ingest.v2 import v2_beat
from heartbeat.relay.relaying import relay
from heartbeat.rules.relaying import Limits
from tests.simulator.running import Running, listening


@pytest.fixture(scope="session")
def legacy_server() -> Iterator[Running]:
    """One legacy server for all tests here."""
    with listening("simulator.legacy", "--look-seconds", "0") as server:
        yield server


@pytest.fixture
def legacy(legacy_server: Running) -> Running:
    """The same, knowing nothing and failing nothing."""
    legacy_server.ask("PUT", "/_sim/state", {})
    legacy_server.ask("PUT", "/_sim/faults", {"delay_seconds": 0.0, "error_rate": 0.0})
    return legacy_server


@pytest.fixture
def log_dsn(dsn: str) -> str:
    """The database with an empty log and a relay that never ran."""
    with psycopg.connect(dsn) as connection:
        connection.execute("TRUNCATE heartbeat_relay, heartbeat_relayed")
    return dsn


async def accept(recorder: Recorder, robot_id: str, **fields: Any) -> None:
    """Let `new` accept a v2 heartbeat of a robot that it admitted."""
    text = json.dumps({"robot_id": robot_id, **fields}).encode()
    await recorder.record(v2_beat(schema.decode(text), len(text), marks_of({})))


@contextlib.asynccontextmanager
async def relaying(dsn: str, url: str, limits: Limits | None = None) -> AsyncIterator[None]:
    """Run the relay until the block ends; what ended it early is raised."""
    stop = asyncio.Event()
    task = asyncio.create_task(relay(dsn, url, stop, limits))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


def state(dsn: str) -> dict[str, Any]:
    """The relay's row; empty before it ran."""
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return connection.execute("SELECT * FROM heartbeat_relay").fetchone() or {}


async def until(holds: Callable[[], Any | Awaitable[Any]], what: str, seconds: float = 20.0) -> Any:
    """Ask until it is true, and return the answer."""
    deadline = time.monotonic() + seconds
    while True:
        if asyncio.iscoroutine(found := await asyncio.to_thread(holds)):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)
