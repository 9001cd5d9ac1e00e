"""Tokens in a database of their own, and an ingest's `Access` that follows it."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from heartbeat.access.minting import Minted, mint
from heartbeat.ingest.access import Access
from heartbeat.ingest.marks import Marks, marks_of
from heartbeat.rules.identity import key_of
from heartbeat.rules.tokens import Sort

PATIENCE_SECONDS = 20.0
_TABLES = "heartbeat_robottoken, heartbeat_enrolmenttoken, heartbeat_legacyclosure"


@pytest.fixture
def tokens(dsn: str) -> str:
    """The address of a database without tokens, robots and closures."""
    with psycopg.connect(dsn) as connection:
        connection.execute(f"TRUNCATE {_TABLES} RESTART IDENTITY CASCADE")
    return dsn


@pytest.fixture
async def access(tokens: str) -> AsyncIterator[Access]:
    """It has read everything, and compares itself with the database only when a test asks for it."""
    access = Access(tokens, check_seconds=PATIENCE_SECONDS)
    access.start()
    await access.wait_for_first_load(PATIENCE_SECONDS)
    assert access.loaded
    yield access
    await access.close()


def run(dsn: str, sql: str, *values: object) -> list[tuple]:
    """One committed statement, and the rows it returns."""
    with psycopg.connect(dsn) as connection:
        cursor = connection.execute(sql, values)
        return cursor.fetchall() if cursor.description else []


def robot_token(dsn: str, robot_id: str = "lekiwi_1", *, expires_in_seconds: float | None = None) -> bytes:
    """A robot's token, as it is sent."""
    made = mint(Sort.ROBOT)
    expires_at = None if expires_in_seconds is None else datetime.now(UTC) + timedelta(seconds=expires_in_seconds)
    run(
        dsn,
        "INSERT INTO heartbeat_robottoken (robot_key, robot_id, digest, prefix, created_at, created_by, expires_at)"
        " VALUES (%s, %s, %s, %s, now(), 'a test', %s)",
        *(key_of(robot_id), robot_id, made.digest, made.prefix, expires_at),
    )
    return made.token.encode()


def enrolment_token(dsn: str, *, uses: int = 10, hours: float = 1, replaces: bool = False, **of: object) -> Minted:
    """An enrolment token; `of` are kind, site and tags."""
    made = mint(Sort.ENROLMENT)
    given = {"kind": "", "site": "", "tags": [], **of}
    run(
        dsn,
        "INSERT INTO heartbeat_enrolmenttoken (digest, prefix, created_at, created_by, expires_at, uses_granted,"
        " uses_left, replaces, kind, site, tags) VALUES (%s, %s, now(), 'a test', %s, %s, %s, %s, %s, %s, %s)",
        *(made.digest, made.prefix, datetime.now(UTC) + timedelta(hours=hours), uses, uses, replaces),
        *given.values(),
    )
    return made


def bearer(token: bytes) -> bytes:
    """The header's value."""
    return b"Bearer " + token


def at_the_door(*, side: bytes = b"new", v2_refused: bool = False) -> Marks:
    """The marks of a legacy call."""
    marks = [(b"x-side", side)] if side else []
    return marks_of(dict([*marks, *([(b"x-v2", b"refused")] if v2_refused else [])]), ("10.0.0.7", 4711))


async def eventually(holds: Callable[[], object]) -> None:
    """Wait until `holds()` is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "did not come true"
        await asyncio.sleep(0.005)


def nobodys_token() -> bytes:
    """One that was never issued."""
    return f"lkr_{secrets.token_urlsafe(32)}".encode()
