"""A batch that is made ready while the one before it is under way is stored as any other."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import psycopg
import pytest

from heartbeat.ingest import schema
from heartbeat.ingest.beat import V2Beat
from heartbeat.ingest.careful import CarefulWriter
from heartbeat.ingest.columns import V2_TOLD
from heartbeat.ingest.commits import Commits
from heartbeat.ingest.connecting import connect
from heartbeat.ingest.marks import marks_of
from heartbeat.ingest.v2 import v2_beat
from heartbeat.ingest.waiting import ALWAYS_TOGETHER, Queue, Waiting
from heartbeat.ingest.writer import Writer
from tests.heartbeat.conftest import PATIENT_SECONDS
from tests.heartbeat.running import eventually

LOCK = "LOCK TABLE heartbeat_robot IN EXCLUSIVE MODE"
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def writer(dsn: str) -> AsyncIterator[Writer]:
    """One that knows robots 0 to 9, which have said number 1."""
    session = await connect(dsn, "ahead", PATIENT_SECONDS)
    await session.writer.write([said(number, 1) for number in range(10)])
    yield session.writer
    session.terminate()


def said(robot: int, sequence: int, **fields: Any) -> V2Beat:
    """A heartbeat; the later its number the later it came."""
    motors = [{"id": place, "position_degrees": robot * 100.0 + place} for place in range(robot % 3)]
    document = {"robot_id": f"R{robot}", "boot_id": "b", "sequence": sequence, "motors": motors, **fields}
    text = msgspec.json.encode(document)
    beat = v2_beat(schema.decode(text), len(text), marks_of({}))
    beat.received_at = beat.at = NOON + timedelta(seconds=sequence, microseconds=robot)
    return beat


async def positions(connection: asyncpg.Connection, sequence: int) -> dict[str, list[float] | None]:
    """By robot, the positions of its motors, as they are stored."""
    rows = await connection.fetch(
        "SELECT s.robot_id, h.motors FROM heartbeat_heartbeat h JOIN heartbeat_spelling s ON s.id = h.spelling_id "
        "WHERE h.sequence = $1",
        sequence,
    )
    return {row["robot_id"]: row["motors"] for row in rows}


async def test_pieces_of_a_batch_keep_their_own_numbers(writer: Writer, connection: asyncpg.Connection) -> None:
    batch = [said(number, 2) for number in range(10)]
    writer.foresee(batch[:4])
    writer.foresee(batch[4:7])

    written = await writer.write(batch)

    assert not written.duplicates
    assert await positions(connection, 2) == {
        f"R{robot}": [robot * 100.0 + place for place in range(robot % 3)] or None for robot in range(10)
    }


async def test_each_robot_keeps_its_own_words_though_a_batch_sends_them_once(
    writer: Writer, connection: asyncpg.Connection
) -> None:
    words = {f"R{robot}": (f"1.{robot % 2}", ("idle", "driving", "charging")[robot % 3]) for robot in range(10)}
    batch = [
        said(robot, 2, firmware=firmware, status=status, teleop={"driver": "policy" if robot % 2 else "human"})
        for robot, (firmware, status) in enumerate(words.values())
    ]
    writer.foresee(batch[:4])

    await writer.write(batch)

    rows = await connection.fetch("SELECT robot_id, firmware, status FROM heartbeat_robot")
    assert {row["robot_id"]: (row["firmware"], row["status"]) for row in rows} == words
    rows = await connection.fetch("SELECT robot_id, driver FROM heartbeat_history WHERE sequence = 2")
    assert {row["robot_id"]: row["driver"] for row in rows} == {
        f"R{robot}": "policy" if robot % 2 else "human" for robot in range(10)
    }


@pytest.mark.parametrize("later", [timedelta(milliseconds=5), timedelta(days=1)], ids=["at once", "the next day"])
async def test_what_comes_again_while_it_is_being_stored_is_a_duplicate(
    writer: Writer, connection: asyncpg.Connection, later: timedelta
) -> None:
    first, again, other = said(1, 2), said(1, 2), said(2, 2)
    again.received_at = again.at = NOON + timedelta(seconds=2) + later
    under_way = asyncio.ensure_future(writer.write([first]))
    await asyncio.sleep(0)
    writer.foresee([again, other])
    await under_way

    written = await writer.write([again, other])

    assert written.duplicates == {id(again)}
    assert sorted(await positions(connection, 2)) == ["R1", "R2"]


async def test_what_counted_on_a_batch_that_failed_is_made_ready_anew(
    writer: Writer, connection: asyncpg.Connection
) -> None:
    poisonous, next_one = said(1, 5), said(1, 6)
    battery = list(V2_TOLD).index("battery_percent")
    poisonous.told = (*poisonous.told[:battery], 1e300, *poisonous.told[battery + 1 :])
    # Before the one that failed, whose time counts for nothing.
    next_one.received_at = next_one.at = NOON + timedelta(seconds=4)
    under_way = asyncio.ensure_future(writer.write([poisonous]))
    await asyncio.sleep(0)
    writer.foresee([next_one])
    with pytest.raises(asyncpg.DataError):
        await under_way

    await writer.write([next_one])

    row = await connection.fetchrow("SELECT at, received_at FROM heartbeat_history WHERE sequence = 6")
    assert row["at"] == row["received_at"]


async def test_a_robot_that_was_never_met_costs_its_neighbours_nothing(
    writer: Writer, connection: asyncpg.Connection
) -> None:
    batch = [said(1, 2), said(77, 1), said(2, 2)]
    writer.foresee(batch[:2])

    written = await writer.write(batch)

    assert not written.duplicates
    assert await connection.fetchval("SELECT count(*) FROM heartbeat_history") == 13
    assert await connection.fetchval("SELECT sequence FROM heartbeat_robot WHERE robot_id = 'R77'") == 1


async def test_a_batch_that_turns_out_otherwise_is_stored_as_it_is(
    writer: Writer, connection: asyncpg.Connection
) -> None:
    one, two, three = said(1, 2), said(2, 2), said(3, 2)
    writer.foresee([one, two])

    await writer.write([two, three])

    assert sorted(await positions(connection, 2)) == ["R2", "R3"]


async def test_the_next_batch_is_stored_though_the_end_of_the_one_before_was_not_noticed(
    writer: Writer, dsn: str
) -> None:
    """The loop stands still from before the first one ends until the second one has."""
    with psycopg.connect(dsn, autocommit=True) as other, psycopg.connect(dsn) as holding:
        holding.execute(LOCK)
        under_way = []
        for sequence in (2, 3):
            batch = [said(number, sequence) for number in range(10)]
            writer.foresee(batch[:4])
            under_way.append(asyncio.ensure_future(writer.write(batch)))
            await asyncio.sleep(0)
        assert writer.takes_another
        holding.rollback()
        stored = "SELECT count(*) FROM heartbeat_heartbeat WHERE sequence > 1"
        eventually(lambda: other.execute(stored).fetchone() == (20,))

        assert [each.duplicates for each in await asyncio.gather(*under_way)] == [set(), set()]
        assert other.execute("SELECT DISTINCT sequence FROM heartbeat_robot").fetchall() == [(3,)]


async def test_what_was_stored_before_costs_the_batch_under_way_beside_it_nothing(
    writer: Writer, connection: asyncpg.Connection
) -> None:
    await CarefulWriter(connection).write([said(1, 2)])
    again, after = [said(0, 2), said(1, 2)], [said(0, 3), said(1, 3), said(2, 3)]
    again[1].received_at = again[1].at = NOON + timedelta(seconds=2, milliseconds=1)

    both = asyncio.gather(writer.write(again), writer.write(after))
    await asyncio.sleep(0)

    first, second = await both
    assert (first.duplicates, second.duplicates) == ({id(again[1])}, set())
    assert sorted(await positions(connection, 2)) == ["R0", "R1"]
    rows = await connection.fetch("SELECT robot_id, sequence FROM heartbeat_robot WHERE sequence > 1 ORDER BY robot_id")
    assert [tuple(row) for row in rows] == [("R0", 3), ("R1", 3), ("R2", 3)]


async def test_a_batch_that_has_to_ask_waits_for_those_under_way_and_they_for_it(
    writer: Writer, connection: asyncpg.Connection
) -> None:
    known, strangers, later = said(1, 2), [said(1, 3), said(77, 1)], said(77, 2)

    both = asyncio.gather(writer.write([known]), writer.write(strangers))
    await asyncio.sleep(0)
    assert not writer.takes_another
    writer.foresee([later])
    await asyncio.gather(both, writer.write([later]))

    rows = await connection.fetch("SELECT robot_id, sequence FROM heartbeat_robot WHERE robot_id IN ('R1', 'R77')")
    assert {row["robot_id"]: row["sequence"] for row in rows} == {"R1": 3, "R77": 2}
    assert writer.takes_another


async def test_a_robot_whose_state_was_deleted_gets_it_back(writer: Writer, connection: asyncpg.Connection) -> None:
    await connection.execute("DELETE FROM heartbeat_robot WHERE robot_id = 'R1'")

    written = await writer.write([said(1, 2), said(2, 2)])

    assert not written.duplicates
    assert await connection.fetchval("SELECT sequence FROM heartbeat_robot WHERE robot_id = 'R1'") == 2


async def test_a_robot_that_speaks_twice_in_a_batch_moves_its_state_once(
    writer: Writer, connection: asyncpg.Connection
) -> None:
    written = await writer.write([said(1, 2), said(2, 2), said(1, 3)])

    assert not written.duplicates
    assert await connection.fetchval("SELECT sequence FROM heartbeat_robot WHERE robot_id = 'R1'") == 3
    assert await connection.fetchval("SELECT count(*) FROM heartbeat_history") == 13


async def test_a_batch_that_waits_for_a_lock_too_long_is_given_up_alone(dsn: str) -> None:
    session = await connect(dsn, "ahead", longest_seconds=0.2)
    batches = [[said(number, sequence) for number in range(3)] for sequence in (1, 2, 3)]
    await session.writer.write(batches[0])
    with psycopg.connect(dsn) as holding:
        holding.execute(LOCK)
        with pytest.raises(asyncpg.QueryCanceledError):
            await session.writer.write(batches[1])

    written = await session.writer.write(batches[2])

    assert not written.duplicates
    assert not session.is_closed
    session.terminate()


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
