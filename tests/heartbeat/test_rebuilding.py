"""Raw heartbeats are the log; the state is derived from them, in whatever order they were learned of."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from heartbeat.ingest import schema
from heartbeat.ingest.beat import Beat, check_beat, status_beat
from heartbeat.ingest.connecting import connect
from heartbeat.ingest.marks import Marks
from heartbeat.ingest.v2 import v2_beat
from tests.databases import manage
from tests.heartbeat.conftest import PATIENT_SECONDS

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
IDS = ("Lekiwi_1", "lekiwi_1", "XLE_2", "odd\x00one", "7f3a")


def beats(seed: int, count: int = 150) -> list[Beat]:
    """A stretch of the life of a few robots, one beat a second."""
    chance = random.Random(seed)
    made = [_beat(chance, number) for number in range(count)]
    for number, beat in enumerate(made):
        beat.received_at = beat.at = START + timedelta(seconds=number)
    return made


def _beat(chance: random.Random, number: int) -> Beat:
    side, shadow = chance.choice(["new", "legacy", ""]), chance.random() < 0.3
    role = "shadow" if shadow else "failover" if side == "legacy" else "owner"
    marks = Marks(role, side, str(UUID(int=chance.getrandbits(128))).encode(), f"10.0.0.{number % 3}")
    robot_id = chance.choice(IDS)
    match chance.randrange(3):
        case 0:
            said = {"robot_id": robot_id, "deployment_id": None, "version": f"v{number}", "status": "idle"}
            message = chance.choice([None, "fine", "a\x00b"])
            return status_beat({**said, "message": message}, chance.choice([None, '{"services":{}}']), marks, 100)
        case 1:
            return check_beat(robot_id, f"v{number}", chance.choice(["all", "xle", "g\x00"]), marks)
        case _:
            said_v2 = {
                "robot_id": robot_id.replace("\x00", ""),
                "kind": chance.choice([None, "xle"]),
                "firmware": chance.choice([None, "2.0"]),
                "battery_percent": chance.choice([None, 50.0]),
                "next_in_s": chance.choice([None, 2.0]),
                "site": chance.choice([None, "a"]),
            }
            return v2_beat(schema.convert(said_v2), 0, marks)


async def state(connection: asyncpg.Connection) -> list[list[dict[str, Any]]]:
    tables = []
    for sql in (
        "SELECT * FROM heartbeat_robot ORDER BY key",
        "SELECT * FROM heartbeat_legacyrow ORDER BY first_at, key",
    ):
        rows = [dict(row) for row in await connection.fetch(sql)]
        for row in rows:
            del row["id"]
        tables.append(rows)
    return tables


def by_key(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["key"])


async def record(dsn: str, made: list[Beat], size: int) -> None:
    session = await connect(dsn, "rebuilding", PATIENT_SECONDS)
    for start in range(0, len(made), size):
        await session.writer.write(made[start : start + size])
    session.terminate()


async def test_one_by_one_in_batches_and_shuffled_lead_to_the_same_state(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    made = beats(seed=1)
    states = []

    for order, size in ((made, 1), (made, 40), (random.Random(2).sample(made, len(made)), 7)):
        await connection.execute(
            "TRUNCATE heartbeat_heartbeat, heartbeat_spelling, heartbeat_robot, heartbeat_legacyrow"
        )
        await record(dsn, order, size)
        states.append(await state(connection))
    await connection.close()

    assert states[0] == states[1]
    for row in states[2][1]:  # a v2 heartbeat moves no row: one that is learned of late does not make it older
        row["first_at"] = next(other["first_at"] for other in states[0][1] if other["key"] == row["key"])
    assert states[0][0] == states[2][0]
    assert by_key(states[0][1]) == by_key(states[2][1])
    assert len(states[0][0]) == 5  # Lekiwi_1 in two spellings is one robot; v2 speaks of "oddone"
    assert states[0][0][0]["last_seen_at"] > START


async def test_recording_everything_again_changes_nothing(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    made = beats(seed=3)
    await record(dsn, made, 30)
    before = await state(connection)

    for beat in made:
        beat.received_at = beat.at = beat.received_at + timedelta(hours=1)  # the retries arrive later
    await record(dsn, made, 30)

    assert await state(connection) == before
    await connection.close()


async def test_the_state_is_rebuilt_from_the_log(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await record(dsn, beats(seed=4, count=1_200), 100)
    await connection.execute("UPDATE heartbeat_robot SET tags = '{lab}' WHERE robot_id = 'XLE_2'")
    before = await state(connection)
    await connection.execute("UPDATE heartbeat_robot SET status = 'spoilt'; DELETE FROM heartbeat_legacyrow")

    said = await asyncio.to_thread(manage, dsn, "rebuild_state", "--skip-checks")

    assert "1200 heartbeats" in said
    assert await state(connection) == before
    await connection.close()
