"""The heartbeat system inside the test, on a database of its own."""

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psycopg
import pytest

from heartbeat.ingest.access import Access
from heartbeat.ingest.application import Ingest
from heartbeat.ingest.calls import Calls
from heartbeat.ingest.connecting import connect
from heartbeat.ingest.database import Database
from heartbeat.ingest.enrolling import Enrolling
from heartbeat.ingest.offers import Offers
from heartbeat.ingest.recorder import Recorder
from heartbeat.ingest.writer import Writer
from heartbeat.legacy_api.application import create_application
from heartbeat.legacy_api.store import Store
from heartbeat.rules.identity import key_of
from heartbeat.rules.tokens import digest_of
from teleop.rules.reading import read_operation
from tests.databases import own_database
from tests.heartbeat.said import said

#: a busy machine may stall a commit; tests about being slow set their own
PATIENT_SECONDS = 20.0


_TABLES = ", ".join(
    f"heartbeat_{name}"
    for name in (
        *("heartbeat", "spelling", "boot", "profile", "robot", "legacyrow", "robottoken", "legacyclosure"),
        *("deployment", "package", "deploymentsrevision"),
    )
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


#: the robot that the clients of these tests have a token of
ENROLLED = "XLE_0000002A"
TOKEN = "lkr_only-for-tests"


def issue_token(database_url: str, robot_id: str = ENROLLED, token: str = TOKEN) -> str:
    """Put a token into the database, as `heartbeat.access` does."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO heartbeat_robottoken (robot_key, robot_id, digest, prefix, created_at, created_by)"
            " VALUES (%s, %s, %s, %s, now(), 'tests')",
            (key_of(robot_id), robot_id, digest_of(token.encode()), token[:8]),
        )
    return token


@pytest.fixture
def token(dsn: str) -> str:
    """A token of ENROLLED."""
    return issue_token(dsn)


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
async def writer(dsn: str) -> AsyncIterator[Writer]:
    """One that knows robots 0 to 9, which have said number 1."""
    session = await connect(dsn, "ahead", PATIENT_SECONDS)
    await session.writer.write([said(number, 1) for number in range(10)])
    yield session.writer
    session.terminate()


@pytest.fixture
async def new(dsn: str, token: str, recorder: Recorder, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the ingest application, as the robots' door speaks to it; its robot for v2 is ENROLLED."""
    database = Database(dsn, timeout_seconds=PATIENT_SECONDS)
    offers = Offers(database)
    access = Access(dsn)
    access.start()
    await access.wait_for_first_load(PATIENT_SECONDS)
    calls = Calls(recorder, access)
    legacy = create_application(calls, offers, Store(database, tmp_path), read_operation)
    transport = httpx.ASGITransport(Ingest(calls, offers, Enrolling(database, access), legacy))
    headers = {"x-side": "new", "authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://new", headers=headers) as client:
        yield client
    await access.close()
    await database.close()


def body(robot_id: str = "Lekiwi_5A3F", **fields: object) -> dict[str, object]:
    """A legacy heartbeat's body."""
    return {"robot_id": robot_id, "status": "idle", "version": "v1.2.0", **fields}


def marks(side: str = "new", *, request_id: uuid.UUID | None = None, shadow: bool = False) -> dict[str, str]:
    """The headers that the robots' door sets."""
    headers = {"x-side": side, "x-request-id": str(request_id or uuid.uuid4())}
    return {**headers, "x-shadow": "1"} if shadow else headers
