"""A batch that is made ready while the one before it is under way is stored as any other."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import psycopg
import pytest

from heartbeat.ingest.beat import legacy_beat
from heartbeat.ingest.careful import CarefulWriter
from heartbeat.ingest.columns import V2_TOLD
from heartbeat.ingest.connecting import connect
from heartbeat.ingest.marks import marks_of
from heartbeat.ingest.pipeline import StatementFailed
from heartbeat.ingest.writer import Writer
from tests.heartbeat.conftest import PATIENT_SECONDS
from tests.heartbeat.running import eventually
from tests.heartbeat.said import LOCK, NOON, said, the_next_day


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


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


async def test_what_the_latest_batch_under_way_stores_comes_again_as_a_duplicate(
    writer: Writer, connection: asyncpg.Connection
) -> None:
    under_way = [asyncio.ensure_future(writer.write([said(1, sequence)])) for sequence in (2, 3)]
    await asyncio.sleep(0)
    assert writer.takes_another
    writer.foresee([again := the_next_day(said(1, 3))])
    await asyncio.gather(*under_way)

    assert (await writer.write([again])).duplicates == {id(again)}


async def test_what_is_under_way_is_a_duplicate_also_in_a_batch_that_has_to_ask(
    writer: Writer, connection: asyncpg.Connection, dsn: str
) -> None:
    again, stranger = the_next_day(said(1, 2)), the_next_day(said(77, 1))
    with psycopg.connect(dsn) as holding:
        holding.execute("SELECT FROM heartbeat_robot WHERE robot_id = 'R1' FOR UPDATE")
        first = asyncio.ensure_future(writer.write([said(1, 2)]))
        second = asyncio.ensure_future(writer.write([again, stranger]))
        waits = (
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'ahead' AND wait_event_type = 'Lock'"
        )
        async with asyncio.timeout(PATIENT_SECONDS):
            while not await connection.fetchval(waits):  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.001)
        holding.rollback()

    assert (await first).duplicates == set()
    assert (await second).duplicates == {id(again)}


@pytest.mark.parametrize("foreseen", [False, True])
async def test_what_a_batch_that_has_to_ask_stores_comes_again_as_a_duplicate(writer: Writer, foreseen: bool) -> None:
    again = the_next_day(said(1, 2))
    asking = asyncio.ensure_future(writer.write([said(1, 2), said(77, 1)]))
    await asyncio.sleep(0)
    if foreseen:
        writer.foresee([again])
        await asking

    written = await writer.write([again])

    assert written.duplicates == {id(again)}
    assert not (await asking).duplicates


async def test_a_robot_whose_state_was_deleted_gets_it_back(writer: Writer, connection: asyncpg.Connection) -> None:
    await connection.execute("DELETE FROM heartbeat_robot WHERE robot_id = 'R1'")

    written = await writer.write([said(1, 2), said(2, 2)])

    assert not written.duplicates
    assert await connection.fetchval("SELECT sequence FROM heartbeat_robot WHERE robot_id = 'R1'") == 2


async def test_a_row_of_legacy_that_was_deleted_comes_back(writer: Writer, connection: asyncpg.Connection) -> None:
    for minutes, version in enumerate(("v1", "v2"), 1):
        await connection.execute("DELETE FROM heartbeat_legacyrow")
        beat = legacy_beat("R1", marks_of({}), call="status", status="idle", version=version)
        beat.received_at = beat.at = NOON + timedelta(minutes=minutes)
        await writer.write([beat])

    assert await connection.fetchval("SELECT version FROM heartbeat_legacyrow") == "v2"


async def test_a_robot_that_speaks_twice_in_a_batch_moves_its_state_once(
    writer: Writer, connection: asyncpg.Connection
) -> None:
    written = await writer.write([said(1, 2), said(2, 2), said(1, 3)])

    assert not written.duplicates
    assert await connection.fetchval("SELECT sequence FROM heartbeat_robot WHERE robot_id = 'R1'") == 3
    assert await connection.fetchval("SELECT count(*) FROM heartbeat_history") == 13


async def test_of_a_robot_that_speaks_twice_what_was_stored_before_is_a_duplicate(
    writer: Writer, connection: asyncpg.Connection
) -> None:
    await CarefulWriter(connection).write([said(1, 2)])
    again, after, other = said(1, 2), said(1, 3), said(2, 2)
    again.received_at = again.at = NOON + timedelta(seconds=2, milliseconds=1)

    written = await writer.write([again, after, other])

    assert written.duplicates == {id(again)}
    assert sorted(await positions(connection, 2)) == ["R1", "R2"]


async def test_a_commit_tells_which_deployments_were_in_force(writer: Writer, connection: asyncpg.Connection) -> None:
    revision = await connection.fetchval("SELECT revision FROM heartbeat_deploymentsrevision")

    assert (await writer.write([said(1, 2)])).deployments == revision


async def test_a_batch_that_waits_for_a_lock_too_long_is_given_up_alone(dsn: str) -> None:
    session = await connect(dsn, "ahead", longest_seconds=0.2)
    batches = [[said(number, sequence) for number in range(3)] for sequence in (1, 2, 3)]
    await session.writer.write(batches[0])
    with psycopg.connect(dsn) as holding:
        holding.execute(LOCK)
        with pytest.raises(asyncpg.QueryCanceledError) as given_up:
            await session.writer.write(batches[1])
        assert isinstance(given_up.value.__cause__, StatementFailed)  # it was not tried again

    written = await session.writer.write(batches[2])

    assert not written.duplicates
    assert not session.is_closed
    session.terminate()
