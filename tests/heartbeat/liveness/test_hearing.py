"""Ingest says until when everything is stored, and a time without its word is deaf."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from heartbeat.ingest.beat import check_beat
from heartbeat.ingest.marks import marks_of
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


async def test_what_is_committed_is_told_though_the_word_after_it_cannot_be_said(world: World) -> None:
    recorder = Recorder(world.dsn, commit_timeout_seconds=3, pulse_seconds=PATIENT_SECONDS)
    async with await psycopg.AsyncConnection.connect(world.dsn) as holding:
        await holding.execute("LOCK TABLE heartbeat_hearing")
        recorder.start()
        await recorder.wait_for_first_connection(PATIENT_SECONDS)
        async with asyncio.timeout(PATIENT_SECONDS):
            outcome = await recorder.record(check_beat("told", "v1", "lekiwi", marks_of({})))
        await holding.rollback()
    await recorder.close()

    assert not outcome.duplicate
    stored = "SELECT call FROM heartbeat_heartbeat h JOIN heartbeat_spelling s ON s.id = spelling_id WHERE key = 'told'"
    assert world.rows(stored) == [{"call": "check_update"}]


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
