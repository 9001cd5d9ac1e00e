"""A robot may send again: what is stored is acknowledged and stored once, whatever happened in between."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from heartbeat.ingest import schema
from heartbeat.ingest.beat import Beat, legacy_beat
from heartbeat.ingest.careful import CarefulWriter
from heartbeat.ingest.marks import Marks, marks_of
from heartbeat.ingest.v2 import v2_beat
from tests.heartbeat.conftest import ENROLLED

MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def numbered(sequence: int, boot_id: str = "boot-1", **fields: Any) -> dict[str, Any]:
    return {"robot_id": ENROLLED, "boot_id": boot_id, "sequence": sequence, **fields}


async def post(new: httpx.AsyncClient, said: dict[str, Any]) -> str:
    answer = await new.post("/api/v2/heartbeat", json=said)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["status"])


async def stored(dsn: str) -> list[tuple[str, int]]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT boot_id, sequence FROM heartbeat_history ORDER BY received_at")
    await connection.close()
    return [tuple(row) for row in rows]


async def robot(dsn: str) -> asyncpg.Record:
    connection = await asyncpg.connect(dsn)
    row = await connection.fetchrow("SELECT * FROM heartbeat_robot")
    await connection.close()
    return row


async def test_five_identical_in_one_burst_are_one_stored_and_four_duplicates(new: httpx.AsyncClient, dsn: str) -> None:
    said = await asyncio.gather(*[post(new, numbered(1)) for _ in range(5)])

    assert sorted(said) == ["accepted", "duplicate", "duplicate", "duplicate", "duplicate"]
    assert await stored(dsn) == [("boot-1", 1)]


async def test_what_was_not_acknowledged_in_time_is_acknowledged_when_it_comes_again(
    new: httpx.AsyncClient, dsn: str
) -> None:
    assert [await post(new, numbered(number)) for number in (1, 2, 1, 3, 2, 3)] == [
        *("accepted", "accepted", "duplicate", "accepted", "duplicate", "duplicate")
    ]

    assert await stored(dsn) == [("boot-1", 1), ("boot-1", 2), ("boot-1", 3)]


async def test_a_number_counts_within_its_run(new: httpx.AsyncClient, dsn: str) -> None:
    await post(new, numbered(5))

    assert await post(new, numbered(5, boot_id="boot-2")) == "accepted"
    assert await post(new, numbered(5, boot_id="boot-1")) == "duplicate"
    assert (await robot(dsn))["boot_id"] == "boot-2"


async def test_an_overtaken_heartbeat_is_stored_and_moves_nothing_back(new: httpx.AsyncClient, dsn: str) -> None:
    await post(new, numbered(2, status="success"))

    assert await post(new, numbered(1, status="deploying")) == "accepted"

    found = await robot(dsn)
    assert (found["status"], found["sequence"]) == ("success", 2)


async def test_a_backlog_of_a_run_before_this_one_moves_nothing_back(new: httpx.AsyncClient, dsn: str) -> None:
    now = datetime.now(UTC)
    await post(new, numbered(1, boot_id="now", status="success", sent_at=now.isoformat()))
    hour_ago = (now - timedelta(hours=1)).isoformat()

    await post(new, numbered(9, boot_id="before", status="deploying", sent_at=hour_ago))

    found = await robot(dsn)
    assert (found["boot_id"], found["status"]) == ("now", "success")
    connection = await asyncpg.connect(dsn)
    late = await connection.fetchval("SELECT received_at - at FROM heartbeat_history WHERE boot_id = 'before'")
    await connection.close()
    assert abs(late - timedelta(hours=1)) < timedelta(seconds=5)


@pytest.mark.parametrize("year", [1970, 2037, 9999])
async def test_a_clock_that_is_wrong_by_years_is_estimated_and_servers_time_rules(
    new: httpx.AsyncClient, dsn: str, year: int
) -> None:
    wrong = datetime(year, 6, 1, tzinfo=UTC)
    for number in range(3):
        await post(new, numbered(number, sent_at=(wrong + timedelta(seconds=number)).isoformat()))

    found = await robot(dsn)
    assert found["sequence"] == 2
    assert abs((found["last_v2_at"] - datetime.now(UTC)).total_seconds()) < 60
    assert abs(found["clock_offset_seconds"] - (datetime.now(UTC) - wrong).total_seconds()) < 60


async def test_a_clock_that_was_set_back_does_not_make_the_robot_late(new: httpx.AsyncClient, dsn: str) -> None:
    now = datetime.now(UTC)
    await post(new, numbered(1, status="idle", sent_at=(now + timedelta(days=400)).isoformat()))

    await post(new, numbered(2, status="failed", sent_at=now.isoformat()))

    assert (await robot(dsn))["status"] == "failed"


class TestAcrossMidnight:
    """A day's partition knows only its own; the same is held across two."""

    @staticmethod
    def at(beat: Beat, moment: datetime) -> Beat:
        beat.received_at = beat.at = moment
        return beat

    async def write(self, dsn: str, *beats: Beat) -> list[bool]:
        """Each by a writer that remembers nothing, as after a restart; returns which were duplicates."""
        connection = await asyncpg.connect(dsn)
        written = [id(beat) in (await CarefulWriter(connection).write([beat])).duplicates for beat in beats]
        await connection.close()
        return written

    async def test_a_number_is_stored_once(self, dsn: str) -> None:
        said = schema.convert({"robot_id": ENROLLED, "boot_id": "boot-1", "sequence": 7})
        before, after = (v2_beat(said, 0, marks_of({})) for _ in range(2))

        first = self.at(before, MIDNIGHT - timedelta(seconds=1)), self.at(after, MIDNIGHT + timedelta(hours=5))

        assert await self.write(dsn, *first) == [False, True]
        assert await stored(dsn) == [("boot-1", 7)]

    async def test_a_request_is_stored_once_and_its_role_raised(self, dsn: str) -> None:
        request = b"11111111-2222-4333-8444-555555555555"
        copy = legacy_beat("r", Marks("shadow", "legacy", request, ""), call="status", status="idle")
        retry = legacy_beat("r", Marks("failover", "legacy", request, ""), call="status", status="idle")

        moments = self.at(copy, MIDNIGHT - timedelta(seconds=1)), self.at(retry, MIDNIGHT + timedelta(seconds=1))

        assert await self.write(dsn, *moments) == [False, True]
        connection = await asyncpg.connect(dsn)
        rows = await connection.fetch("SELECT role FROM heartbeat_heartbeat")
        await connection.close()
        assert [row["role"] for row in rows] == ["failover"]


@pytest.mark.parametrize(
    "deleted",
    ["heartbeat_robot, heartbeat_legacyrow", "heartbeat_robot, heartbeat_legacyrow, heartbeat_spelling"],
)
async def test_rows_of_state_that_somebody_deleted_are_made_again(
    new: httpx.AsyncClient, dsn: str, deleted: str
) -> None:
    await post(new, numbered(1))
    await new.post("/api/robot/status", json={"robot_id": "other", "status": "idle"})
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"TRUNCATE {deleted} RESTART IDENTITY")
    await connection.close()

    await post(new, numbered(2, status="success"))
    await new.post("/api/robot/status", json={"robot_id": "other", "status": "failed"})

    listed = {row["robot_id"]: row["status"] for row in (await new.get("/api/robots")).json()}
    assert listed == {ENROLLED: "success", "other": "failed"}


async def test_a_number_too_small_for_its_column_costs_nobody_a_heartbeat(new: httpx.AsyncClient, dsn: str) -> None:
    tiny = numbered(1, base={"x_vel": 1e-60}, motors=[{"id": 1, "position_degrees": -1e-310}])

    assert await post(new, tiny) == "accepted"

    connection = await asyncpg.connect(dsn)
    row = await connection.fetchrow("SELECT x_vel, motors FROM heartbeat_heartbeat")
    await connection.close()
    assert (row["x_vel"], row["motors"]) == (0.0, [0.0])


async def test_the_log_gives_back_what_the_robot_said(new: httpx.AsyncClient, dsn: str) -> None:
    said = numbered(
        3,
        kind="xle",
        sent_at="2026-11-24T10:00:00.250000+00:00",
        status="idle",
        battery_percent=87.3,
        motors=[
            {"id": 1, "name": "arm", "position_degrees": 12.4},
            {"id": 2, "name": "head", "position_degrees": -3.25, "temperature_celsius": 41.5, "status": 3},
            {"id": 9, "name": "wheel", "velocity": 0.1},
        ],
        cameras=[{"name": "front", "fps": 29.7}, {"name": "wrist"}],
        services={"teleop": "active", "lekiwi": "unknown"},
        teleop={"watchdog_active": False, "observers": 2, "driver": "policy"},
        network={"rtt_ms": 12.4},
        extra={"a": [1, {"b": None}], 'quoted "\\ back\nslash': "ä"},
    )
    await post(new, said)

    connection = await asyncpg.connect(dsn)
    row = await connection.fetchrow(
        "SELECT h.*, p.document FROM heartbeat_heartbeat h JOIN heartbeat_profile p ON p.id = h.profile_id"
    )
    motors = await connection.fetch("SELECT name, channel, value FROM heartbeat_motor ORDER BY name, channel")
    await connection.close()
    from heartbeat.rules.reporting import reported

    again = reported({**row, "rest": json.loads(row["rest"])}, json.loads(row["document"]), "boot-1")
    assert {**again, "robot_id": ENROLLED} == said
    assert [(one["name"], one["channel"], round(one["value"], 3)) for one in motors] == [
        ("arm", "position_degrees", 12.4),
        ("head", "position_degrees", -3.25),
        ("head", "status", 3.0),
        ("head", "temperature_celsius", 41.5),
        ("wheel", "velocity", 0.1),
    ]
