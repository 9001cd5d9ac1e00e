"""Ingest says until when everything is stored, and a time without its word is deaf."""

from datetime import timedelta

import psycopg
import pytest

from heartbeat.ingest.recorder import Recorder
from tests.heartbeat.conftest import PATIENT_SECONDS
from tests.heartbeat.liveness.world import T0, World, at


async def _until(world: World, query: str) -> None:
    async with await psycopg.AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        for _ in range(2_000):
            if (await (await connection.execute(query)).fetchone())[0]:  # type: ignore[index, arg-type]
                return
            await connection.execute("SELECT pg_sleep(0.005)")
    pytest.fail(f"never true: {query}")


async def test_ingest_says_that_it_hears_also_while_nobody_speaks(world: World) -> None:
    world.database.execute("TRUNCATE heartbeat_hearing, heartbeat_deafness")
    recorder = Recorder(world.dsn, commit_timeout_seconds=PATIENT_SECONDS, pulse_seconds=0.01)
    recorder.start()
    await _until(world, "SELECT count(*) > 0 FROM heartbeat_hearing")
    (first,) = world.rows("SELECT until FROM heartbeat_hearing")
    await _until(world, f"SELECT max(until) > '{first['until']}' FROM heartbeat_hearing")
    await recorder.close()

    (deaf,) = world.rows("SELECT began_at, ended_at FROM heartbeat_deafness")
    assert (deaf["began_at"].year, deaf["ended_at"]) == (2000, first["until"])


def test_two_words_that_are_too_far_apart_leave_a_deaf_time(world: World) -> None:
    for second in (0.25, 0.5, 1.5, 100, 100.25):
        world.hear(second, tolerated_seconds=1)

    deaf = world.rows("SELECT began_at, ended_at FROM heartbeat_deafness WHERE began_at >= '2026-01-01'")
    assert [(row["began_at"], row["ended_at"]) for row in deaf] == [(at(1.5), at(100))]


def test_an_older_word_changes_nothing_unless_the_clock_was_set_back(world: World) -> None:
    world.hear(100)
    world.hear(99)
    assert world.rows("SELECT until FROM heartbeat_hearing") == [{"until": at(100)}]

    world.hear(50)

    assert world.rows("SELECT until FROM heartbeat_hearing") == [{"until": T0 + timedelta(seconds=50)}]
