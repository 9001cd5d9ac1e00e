"""The heartbeat system inside the test, on a database of its own."""

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psycopg
import pytest

from heartbeat.ingest.application import Ingest
from heartbeat.ingest.database import Database
from heartbeat.ingest.offers import Offers
from heartbeat.ingest.recorder import Recorder
from heartbeat.legacy_api.application import create_application
from heartbeat.legacy_api.store import Store
from teleop.rules.reading import read_operation
from tests.heartbeat.running import own_database

#: a busy machine may stall a commit; tests about being slow set their own
PATIENT_SECONDS = 20.0


_TABLES = ", ".join(
    f"heartbeat_{name}" for name in ("heartbeat", "spelling", "boot", "profile", "robot", "legacyrow", "deployment", "package", "deploymentsrevision")
)


@pytest.fixture(scope="session")
def database_url() -> str:
    """A migrated database of these tests' own: what they write is committed, as ingest commits it."""
    return own_database(os.environ["DATABASE_URL"])


@pytest.fixture
def dsn(database_url: str) -> str:
    """The same with empty tables."""
    with psycopg.connect(database_url) as connection:
        connection.execute(f"TRUNCATE {_TABLES} RESTART IDENTITY")
    return database_url


@pytest.fixture
async def recorder(dsn: str) -> AsyncIterator[Recorder]:
    """A recorder that is connected."""
    recorder = Recorder(dsn, commit_timeout_seconds=PATIENT_SECONDS)
    recorder.start()
    await recorder.wait_for_first_connection(PATIENT_SECONDS)
    assert recorder.available
    yield recorder
    await recorder.close()


@pytest.fixture
async def new(dsn: str, recorder: Recorder, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the ingest application."""
    database = Database(dsn, timeout_seconds=PATIENT_SECONDS)
    offers = Offers(database)
    legacy = create_application(recorder, offers, Store(database, tmp_path), read_operation)
    transport = httpx.ASGITransport(Ingest(recorder, offers, legacy))
    async with httpx.AsyncClient(transport=transport, base_url="http://new") as client:
        yield client
    await database.close()


def body(robot_id: str = "Lekiwi_5A3F", **fields: object) -> dict[str, object]:
    """A legacy heartbeat's body."""
    return {"robot_id": robot_id, "status": "idle", "version": "v1.2.0", **fields}


def marks(side: str = "new", *, request_id: uuid.UUID | None = None, shadow: bool = False) -> dict[str, str]:
    """The headers that the robots' door sets."""
    headers = {"x-side": side, "x-request-id": str(request_id or uuid.uuid4())}
    return {**headers, "x-shadow": "1"} if shadow else headers
