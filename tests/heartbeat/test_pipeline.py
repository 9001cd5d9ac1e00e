"""Transactions that are sent without waiting for the ones before, on a PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import psycopg
import pytest

from heartbeat.ingest.pipeline import Pipeline, Row, StatementFailed
from tests.heartbeat.conftest import PATIENT_SECONDS
from tests.heartbeat.running import eventually

ADD = "INSERT INTO numbers SELECT $1::text::int RETURNING n"
HALF = "SELECT 100 / $1::text::int"
LENGTH = "SELECT length($1::text)"


class Lost:
    """Counts how often it was told."""

    def __init__(self) -> None:
        self.times = 0
        self.told = asyncio.Event()

    def __call__(self) -> None:
        self.times += 1
        self.told.set()


@pytest.fixture
def lost() -> Lost:
    return Lost()


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    await connection.execute("DROP TABLE IF EXISTS numbers; CREATE TABLE numbers (n int UNIQUE)")
    yield connection
    await connection.execute("DROP TABLE numbers")
    await connection.close()


@pytest.fixture
async def pipeline(dsn: str, connection: asyncpg.Connection, lost: Lost) -> AsyncIterator[Pipeline]:
    settings = {"application_name": "pipeline", "statement_timeout": "20s"}
    pipeline = await Pipeline.connect(dsn, settings, seconds=PATIENT_SECONDS, lost=lost)
    await pipeline.prepare(ADD, HALF, LENGTH)
    yield pipeline
    pipeline.close()


async def numbers(connection: asyncpg.Connection) -> list[int]:
    return [row["n"] for row in await connection.fetch("SELECT n FROM numbers ORDER BY n")]


async def test_each_transaction_has_the_rows_of_its_own_statements(pipeline: Pipeline) -> None:
    sent = [pipeline.send((ADD, [b"%d" % number]), (HALF, [b"%d" % number])) for number in (1, 2, 5)]

    async with asyncio.timeout(PATIENT_SECONDS):
        assert await asyncio.gather(*sent) == [[(b"1",), (b"100",)], [(b"2",), (b"50",)], [(b"5",), (b"20",)]]


def test_one_that_is_sent_is_done_though_nobody_notices_the_end_of_the_one_before(dsn: str, lost: Lost) -> None:
    """The loop stands still from before the first one ends until the second one has."""
    with psycopg.connect(dsn, autocommit=True) as other, psycopg.connect(dsn) as holding:
        other.execute("DROP TABLE IF EXISTS numbers; CREATE TABLE numbers (n int UNIQUE)")

        async def send() -> list[list[Row]]:
            pipeline = await Pipeline.connect(dsn, {}, seconds=PATIENT_SECONDS, lost=lost)
            await pipeline.prepare(ADD)
            holding.execute("LOCK TABLE numbers")
            sent = [pipeline.send((ADD, [b"%d" % number])) for number in (1, 2)]
            holding.rollback()
            eventually(lambda: other.execute("SELECT count(*) FROM numbers").fetchone() == (2,))
            rows = await asyncio.gather(*sent)
            pipeline.close()
            return rows

        assert asyncio.run(send()) == [[(b"1",)], [(b"2",)]]
        other.execute("DROP TABLE numbers")


async def test_one_that_fails_is_undone_as_a_whole_and_costs_no_other_anything(
    pipeline: Pipeline, connection: asyncpg.Connection
) -> None:
    sent = [
        pipeline.send((ADD, [b"1"])),
        pipeline.send((ADD, [b"2"]), (HALF, [b"0"]), (ADD, [b"3"])),
        pipeline.send((ADD, [b"4"])),
    ]

    async with asyncio.timeout(PATIENT_SECONDS):
        first, failed, last = await asyncio.gather(*sent, return_exceptions=True)

    assert (first, last) == ([(b"1",)], [(b"4",)])
    assert isinstance(failed, StatementFailed)
    assert (failed.sqlstate, "division by zero" in str(failed)) == ("22012", True)
    assert await numbers(connection) == [1, 4]


async def test_what_the_socket_does_not_take_at_once_is_sent_later(pipeline: Pipeline) -> None:
    sizes = (20_000_000, 1, 3_000_000)
    sent = [pipeline.send((LENGTH, [b"x" * size])) for size in sizes]

    async with asyncio.timeout(PATIENT_SECONDS):
        assert await asyncio.gather(*sent) == [[(b"%d" % size,)] for size in sizes]


async def test_whoever_does_not_wait_any_more_takes_no_others_answer(pipeline: Pipeline) -> None:
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    gone, other = pipeline.send((HALF, [b"1"])), pipeline.send((HALF, [b"2"]))
    gone.cancel()

    async with asyncio.timeout(PATIENT_SECONDS):
        assert await other == [(b"50",)]
    assert not faults


async def test_the_end_of_the_connection_is_told_once_to_everyone(
    pipeline: Pipeline, connection: asyncpg.Connection, lost: Lost
) -> None:
    async with connection.transaction():
        await connection.execute("LOCK TABLE numbers")
        sent = [pipeline.send((ADD, [b"1"])), pipeline.send((HALF, [b"1"]))]
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pipeline'"
        )
        async with asyncio.timeout(PATIENT_SECONDS):
            told = await asyncio.gather(*sent, return_exceptions=True)

    assert [type(one) for one in told] == [ConnectionResetError] * 2
    assert pipeline.is_closed
    with pytest.raises(ConnectionResetError):
        await pipeline.send((HALF, [b"1"]))
    assert lost.times == 1


async def test_an_end_is_noticed_while_nothing_is_under_way(
    pipeline: Pipeline, connection: asyncpg.Connection, lost: Lost
) -> None:
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pipeline'"
    )

    await asyncio.wait_for(lost.told.wait(), PATIENT_SECONDS)

    assert pipeline.is_closed


async def test_a_database_that_is_not_there_is_an_error_of_the_connection(lost: Lost) -> None:
    with pytest.raises(ConnectionError):
        await Pipeline.connect("postgresql://nobody@127.0.0.1:1/none", {}, seconds=PATIENT_SECONDS, lost=lost)
