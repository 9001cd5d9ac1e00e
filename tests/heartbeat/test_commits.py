"""Two commits may be under way, one behind the other."""

import asyncio
import time
from functools import partial

import psycopg
import pytest

from heartbeat.errors import Unavailable
from heartbeat.ingest.commits import Commits
from heartbeat.ingest.connecting import connect
from heartbeat.ingest.waiting import ALWAYS_TOGETHER, Outcome, Queue, Waiting
from heartbeat.ingest.writer import Writer
from tests.heartbeat.conftest import PATIENT_SECONDS
from tests.heartbeat.running import eventually
from tests.heartbeat.said import LOCK, said


async def test_all_that_is_not_stored_yet_is_told_of_by_its_oldest(writer: Writer, dsn: str) -> None:
    queue = Queue()
    commits = Commits(writer, queue, PATIENT_SECONDS, lambda: None)
    told: list[object] = []
    first, second = said(1, 2), said(2, 3)
    with psycopg.connect(dsn) as holding:
        holding.execute(LOCK)
        queue.enter(Waiting([first], 1, told.append, time.monotonic() + PATIENT_SECONDS))
        ending = asyncio.ensure_future(commits.end_next())
        await asyncio.sleep(0)
        queue.enter(Waiting([second], 1, told.append, time.monotonic() + PATIENT_SECONDS))
        assert commits.are_under_way
        assert commits.oldest == first.received_at
        holding.rollback()
        await ending
        assert commits.oldest == second.received_at
        assert await commits.end_next()
        assert not await commits.end_next()

    assert commits.oldest is None
    assert len(told) == 2


@pytest.mark.parametrize("backlog", [False, True], ids=["many calls", "a backlog"])
async def test_what_is_worth_a_commit_begins_one_beside_the_one_under_way(
    writer: Writer, dsn: str, backlog: bool
) -> None:
    queue = Queue()
    commits = Commits(writer, queue, PATIENT_SECONDS, lambda: None)
    until = time.monotonic() + PATIENT_SECONDS
    singles = [said(number % 10, 3 + number // 10) for number in range(ALWAYS_TOGETHER)]
    with psycopg.connect(dsn, autocommit=True) as other, psycopg.connect(dsn) as holding:
        holding.execute(LOCK)
        queue.enter(Waiting([said(1, 2)], 1, lambda outcomes: None, until))
        ending = asyncio.ensure_future(commits.end_next())
        await asyncio.sleep(0)
        if backlog:
            queue.enter_backlog(Waiting(singles, 1, lambda outcomes: None, until))
        else:
            for beat in singles:
                queue.enter(Waiting([beat], 1, lambda outcomes: None, until))
        commits.make_ready()
        await asyncio.sleep(0)
        holding.rollback()
        # The loop stands still until both are stored.
        stored = "SELECT count(*) FROM heartbeat_heartbeat WHERE sequence > 1"
        eventually(lambda: other.execute(stored).fetchone() == (1 + ALWAYS_TOGETHER,))

        assert await ending
        assert await commits.end_next()
        assert not await commits.end_next()


@pytest.mark.parametrize("asks", [False, True], ids=["too few", "one that has to ask is under way"])
async def test_nothing_else_begins_one_beside_it(writer: Writer, dsn: str, asks: bool) -> None:
    queue = Queue()
    commits = Commits(writer, queue, PATIENT_SECONDS, lambda: None)
    until = time.monotonic() + PATIENT_SECONDS
    with psycopg.connect(dsn) as holding:
        holding.execute(LOCK)
        queue.enter(Waiting([said(77 if asks else 1, 2)], 1, lambda outcomes: None, until))
        ending = asyncio.ensure_future(commits.end_next())
        while not commits.are_under_way or writer.takes_another is asks:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
        beats = [said(number % 10, 3 + number // 10) for number in range(ALWAYS_TOGETHER if asks else 1)]
        for beat in beats:
            queue.enter(Waiting([beat], 1, lambda outcomes: None, until))
        commits.make_ready()

        assert queue.oldest == beats[0].received_at
        holding.rollback()
        assert await ending
    assert await commits.end_next()
    assert not await commits.end_next()


async def test_whoever_waits_for_a_lock_too_long_is_told_and_the_next_ones_are_stored(writer: Writer, dsn: str) -> None:
    session = await connect(dsn, "commits", longest_seconds=0.2)
    queue = Queue()
    commits = Commits(session.writer, queue, PATIENT_SECONDS, lambda: None)
    told: list[object] = []
    await session.writer.write([said(1, 2)])
    with psycopg.connect(dsn) as holding:
        holding.execute(LOCK)
        queue.enter(Waiting([said(1, 3)], 1, told.append, time.monotonic() + PATIENT_SECONDS))
        assert await commits.end_next()
    queue.enter(Waiting([said(1, 4)], 1, told.append, time.monotonic() + PATIENT_SECONDS))
    assert await commits.end_next()
    assert not await commits.end_next()
    session.terminate()

    refused, (stored,) = told
    assert isinstance(refused, Unavailable)
    assert isinstance(stored, Outcome)


async def test_when_the_connection_is_lost_what_is_committed_is_told_and_the_rest_refused(
    writer: Writer, dsn: str
) -> None:
    session = await connect(dsn, "commits", PATIENT_SECONDS)
    queue = Queue()
    commits = Commits(session.writer, queue, PATIENT_SECONDS, lambda: None)
    told: dict[int, object] = {}
    until = time.monotonic() + PATIENT_SECONDS
    await session.writer.write([said(1, 2)])
    queue.enter(Waiting([said(1, 3)], 1, partial(told.__setitem__, 3), until))
    assert await commits.end_next()
    with psycopg.connect(dsn) as holding:
        holding.execute(LOCK)
        queue.enter(Waiting([said(1, 4)], 1, partial(told.__setitem__, 4), until))
        ending = asyncio.ensure_future(commits.end_next())
        while not commits.are_under_way:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
        ending.cancel()
    commits.give_up()
    session.terminate()

    (stored,) = told[3]  # type: ignore[misc]
    assert isinstance(stored, Outcome)
    assert isinstance(told[4], Unavailable)
