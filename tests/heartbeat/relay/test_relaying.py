"""v2 heartbeats that `new` accepted reach a real legacy server, through what happens to either."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from embedded.ports import free_port
from heartbeat.ingest.beat import status_beat
from heartbeat.ingest.marks import marks_of
from heartbeat.ingest.recorder import Recorder
from heartbeat.models import RelayState
from heartbeat.models.relay import THE_RELAY
from heartbeat.relay import figures
from heartbeat.rules.relaying import Limits, is_echo
from tests.databases import ROOT
from tests.heartbeat.relay.conftest import accept, relaying, state, until
from tests.simulator.running import Running, listening


def row_of(legacy: Running, robot_id: str) -> dict[str, Any] | None:
    status, row = legacy.ask("GET", f"/api/robots/{robot_id}")
    return row if status == 200 else None


def move_to_the_past(dsn: str, robot_id: str, seconds: float) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "UPDATE heartbeat_heartbeat SET received_at = received_at - make_interval(secs => %s), at = NULL"
            " WHERE spelling_id = (SELECT id FROM heartbeat_spelling WHERE robot_id = %s)",
            (seconds, robot_id),
        )


async def test_legacy_hears_a_v2_heartbeat_in_its_own_words(recorder: Recorder, log_dsn: str, legacy: Running) -> None:
    async with relaying(log_dsn, legacy.url):
        await until(lambda: state(log_dsn), "the relay runs")
        await accept(
            recorder,
            "XLE_2A",
            status="deploying",
            version="v1.3.0-xle",
            deployment_id="dep_1",
            message="grüße",
            services={"teleop": "active", "lekiwi": "inactive"},
            sent_at="2026-11-24T09:00:00+00:00",
            battery_percent=50,
        )
        row = await until(lambda: row_of(legacy, "XLE_2A"), "legacy knows the robot")
        await until(lambda: state(log_dsn)["relayed"] == 1, "it is counted")

    assert list(row) == ["robot_id", "deployment_id", "version", "status", "message", "health", "last_seen"]
    assert (row["status"], row["version"], row["deployment_id"]) == ("deploying", "v1.3.0-xle", "dep_1")
    assert row["message"] == "grüße"
    assert row["health"]["services"] == {"teleop": "active", "lekiwi": "inactive"}


async def test_legacy_calls_are_not_relayed(recorder: Recorder, log_dsn: str, legacy: Running) -> None:
    async with relaying(log_dsn, legacy.url):
        await until(lambda: state(log_dsn), "the relay runs")
        said = {"robot_id": "Lekiwi_1", "status": "idle"}
        await recorder.record(status_beat(said, None, marks_of({}), 50))
        await accept(recorder, "XLE_2A")
        await until(lambda: state(log_dsn)["relayed"] == 1, "the v2 heartbeat is relayed")

    assert [row["robot_id"] for row in legacy.ask("GET", "/api/robots")[1]] == ["XLE_2A"]
    assert state(log_dsn)["accepted"] == 1


async def test_what_was_relayed_is_recognised_when_it_is_read_back(
    recorder: Recorder, log_dsn: str, legacy: Running
) -> None:
    async with relaying(log_dsn, legacy.url):
        await until(lambda: state(log_dsn), "the relay runs")
        await accept(recorder, "XLE_2A", version="v1", services={"teleop": "active"})
        await until(lambda: state(log_dsn)["relayed"] == 1, "it is relayed")
    with psycopg.connect(log_dsn, row_factory=dict_row) as connection:
        relayed = connection.execute("SELECT * FROM heartbeat_relayed").fetchone()
    assert relayed is not None
    echo = row_of(legacy, "XLE_2A")
    legacy.beat("XLE_2A", version="v2")
    from_the_robot = row_of(legacy, "XLE_2A")

    assert echo is not None
    assert from_the_robot is not None
    assert is_echo(echo, relayed["body"], relayed["sent_at"], relayed["acknowledged_at"])
    assert not is_echo(from_the_robot, relayed["body"], relayed["sent_at"], relayed["acknowledged_at"])
    # The same words at another time are the robot's own.
    later = relayed["acknowledged_at"] + timedelta(minutes=1)
    assert not is_echo(echo, relayed["body"], later, later)


async def test_an_old_heartbeat_makes_no_silent_robot_look_alive(
    recorder: Recorder, log_dsn: str, legacy: Running
) -> None:
    async with relaying(log_dsn, legacy.url):
        await until(lambda: state(log_dsn), "the relay runs")
    await accept(recorder, "XLE_SILENT")
    with psycopg.connect(log_dsn) as connection:
        connection.execute("UPDATE heartbeat_relay SET cursor = cursor - interval '1 hour'")
    move_to_the_past(log_dsn, "XLE_SILENT", 60)
    await accept(recorder, "XLE_ALIVE")

    async with relaying(log_dsn, legacy.url):
        await until(lambda: row_of(legacy, "XLE_ALIVE"), "the fresh one is relayed")
        await until(lambda: state(log_dsn)["relayed"] == 1, "it is counted")

    assert row_of(legacy, "XLE_SILENT") is None
    assert (state(log_dsn)["accepted"], state(log_dsn)["too_old"]) == (2, 1)


async def test_a_row_that_legacy_refuses_does_not_stop_the_relay(
    recorder: Recorder, log_dsn: str, legacy: Running
) -> None:
    async with relaying(log_dsn, legacy.url):
        await until(lambda: state(log_dsn), "the relay runs")
        await accept(recorder, "XLE_ODD")
        with psycopg.connect(log_dsn) as connection:  # `status` is a text in legacy's contract
            connection.execute("UPDATE heartbeat_relay SET cursor = cursor - interval '1 minute'")
        await accept(recorder, "XLE_GOOD")
        await until(lambda: state(log_dsn)["relayed"] == 2, "both are relayed")
    with psycopg.connect(log_dsn) as connection:
        connection.execute(
            "UPDATE heartbeat_heartbeat SET status = NULL"
            " WHERE spelling_id = (SELECT id FROM heartbeat_spelling WHERE robot_id = 'XLE_ODD')"
        )
        connection.execute("UPDATE heartbeat_relay SET cursor = cursor - interval '1 minute'")
        connection.execute("TRUNCATE heartbeat_relayed")

    async with relaying(log_dsn, legacy.url):
        await until(lambda: state(log_dsn)["refused"] == 1, "the odd one is refused")
        await until(lambda: state(log_dsn)["relayed"] == 3, "the good one is relayed again")


async def test_a_slow_legacy_hears_each_robots_newest(recorder: Recorder, log_dsn: str, legacy: Running) -> None:
    legacy.ask("PUT", "/_sim/faults", {"delay_seconds": 0.3})
    async with relaying(log_dsn, legacy.url, Limits(behind_seconds=0.2)):
        await until(lambda: state(log_dsn), "the relay runs")
        for number in range(12):
            await accept(recorder, "XLE_2A", message=str(number))
        done = await until(
            lambda: state(log_dsn) if state(log_dsn)["accepted"] == 12 else None, "all twelve have an outcome"
        )

    row = row_of(legacy, "XLE_2A")
    assert row is not None
    assert row["message"] == "11"
    assert done["relayed"] < 12
    assert done["relayed"] + done["coalesced"] == 12


async def test_while_legacy_is_away_nothing_is_lost_that_is_fresh_when_it_returns(
    recorder: Recorder, log_dsn: str
) -> None:
    port = free_port()
    async with relaying(log_dsn, f"http://127.0.0.1:{port}"):
        await until(lambda: state(log_dsn), "the relay runs")
        await accept(recorder, "XLE_2A", message="said while legacy was away")
        await until(lambda: state(log_dsn)["legacy_silent_since"], "the silence is noticed")
        assert state(log_dsn)["waiting"] == 1
        with listening("simulator.legacy", "--look-seconds", "0", port=port) as legacy:
            await until(lambda: row_of(legacy, "XLE_2A"), "legacy hears it after all")
            await until(lambda: state(log_dsn)["relayed"] == 1, "it is counted")
            await until(lambda: state(log_dsn)["legacy_silent_since"] is None, "legacy is back")


async def test_what_legacy_did_not_take_in_time_has_failed(recorder: Recorder, log_dsn: str) -> None:
    limits = Limits(too_old_seconds=0.5)
    async with relaying(log_dsn, f"http://127.0.0.1:{free_port()}", limits):
        await until(lambda: state(log_dsn), "the relay runs")
        await accept(recorder, "XLE_2A")
        done = await until(lambda: state(log_dsn) if state(log_dsn)["accepted"] else None, "it has an outcome")

    assert (done["failed"], done["relayed"], done["waiting"]) == (1, 0, 0)


async def test_one_relay_at_a_time_and_the_next_goes_on_where_a_killed_one_was(
    recorder: Recorder, log_dsn: str, legacy: Running, tmp_path: Path
) -> None:
    command = [sys.executable, "-W", "ignore", "manage.py", "relay"]
    env = {**os.environ, "DATABASE_URL": log_dsn, "LEGACY_URL": legacy.url}
    with (tmp_path / "relay.log").open("ab") as said:
        first = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=env, stdout=said, stderr=said)
    try:
        await until(lambda: state(log_dsn), "the first relay runs")
        await accept(recorder, "XLE_1")
        await until(lambda: state(log_dsn)["relayed"] == 1, "it relays")
        async with relaying(log_dsn, legacy.url):
            await accept(recorder, "XLE_2")
            await until(lambda: state(log_dsn)["relayed"] == 2, "one of them relays")
            os.kill(first.pid, signal.SIGKILL)
            await first.wait()
            await accept(recorder, "XLE_3")
            await until(lambda: state(log_dsn)["relayed"] == 3, "the other one took over")
    finally:
        if first.returncode is None:
            first.kill()
            await first.wait()

    assert state(log_dsn)["accepted"] == 3
    assert {row["robot_id"] for row in legacy.ask("GET", "/api/robots")[1]} == {"XLE_1", "XLE_2", "XLE_3"}


async def test_a_lost_database_connection_is_opened_again(recorder: Recorder, log_dsn: str, legacy: Running) -> None:
    async with relaying(log_dsn, legacy.url):
        await until(lambda: state(log_dsn), "the relay runs")
        with psycopg.connect(log_dsn, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'relay' AND datname = current_database()"
            )
        await accept(recorder, "XLE_1")
        await until(lambda: state(log_dsn)["relayed"] == 1, "it relays again")

    assert state(log_dsn)["updated_at"] <= datetime.now(UTC)


@pytest.mark.django_db
def test_the_sites_metrics_tell_what_became_of_v2_heartbeats() -> None:
    assert list(figures.families()) == []
    RelayState.objects.create(
        id=THE_RELAY,
        cursor=datetime.now(UTC),
        accepted=7,
        relayed=4,
        coalesced=2,
        failed=1,
        updated_at=datetime.now(UTC),
    )

    told = {
        sample.name: sample.value for family in figures.families() for sample in family.samples if not sample.labels
    }
    outcomes = {
        sample.labels["outcome"]: sample.value
        for family in figures.families()
        for sample in family.samples
        if sample.name == "lekiwi_relay_heartbeats_total"
    }

    assert told["lekiwi_relay_accepted_total"] == 7
    assert told["lekiwi_relay_legacy_up"] == 1
    assert 0 <= told["lekiwi_relay_age_seconds"] < 60
    assert outcomes == {"relayed": 4, "coalesced": 2, "too_old": 0, "refused": 0, "failed": 1}
