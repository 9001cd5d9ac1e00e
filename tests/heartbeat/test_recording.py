"""Invariant 1: an acknowledged heartbeat is committed, once, and moves the state once."""

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest

from heartbeat.errors import Unstorable
from heartbeat.ingest.beat import legacy_beat
from heartbeat.ingest.careful import CarefulWriter
from heartbeat.ingest.marks import marks_of
from heartbeat.ingest.recorder import Recorder
from tests.heartbeat.conftest import PATIENT_SECONDS, body, marks


async def fetch(dsn: str, sql: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(sql, *arguments)
    finally:
        await connection.close()


async def robot(dsn: str, key: bytes = b"lekiwi_5a3f") -> asyncpg.Record:
    (found,) = await fetch(dsn, "SELECT * FROM heartbeat_robot WHERE key = $1", key)
    return found


async def test_an_acknowledged_heartbeat_is_committed(new: httpx.AsyncClient, dsn: str) -> None:
    request_id = uuid.uuid4()

    answer = await new.post("/api/robot/status", json=body(), headers=marks(request_id=request_id))

    assert (answer.status_code, answer.json()) == (200, {"status": "updated"})
    assert answer.headers["x-request-id"] == str(request_id)
    assert answer.headers["x-answered-by"] == "new"
    (stored,) = await fetch(dsn, "SELECT * FROM heartbeat_heartbeat")
    assert stored["request_id"] == request_id
    assert (stored["call"], stored["role"], stored["side"]) == ("status", "owner", "new")


async def test_identical_bodies_of_two_requests_are_two_heartbeats(new: httpx.AsyncClient, dsn: str) -> None:
    for _ in range(2):
        await new.post("/api/robot/status", json=body(), headers=marks())

    assert len(await fetch(dsn, "SELECT FROM heartbeat_heartbeat")) == 2


@pytest.mark.parametrize("at_once", [True, False])
async def test_one_request_seen_five_times_is_one_heartbeat(new: httpx.AsyncClient, dsn: str, at_once: bool) -> None:
    headers = marks()
    posts = [new.post("/api/robot/status", json=body(), headers=headers) for _ in range(5)]

    answers = await asyncio.gather(*posts) if at_once else [await post for post in posts]

    assert {answer.status_code for answer in answers} == {200}
    assert len(await fetch(dsn, "SELECT FROM heartbeat_heartbeat")) == 1


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_copy_and_then_the_failover_are_one_heartbeat_with_the_stronger_role(
    new: httpx.AsyncClient, dsn: str, at_once: bool
) -> None:
    request_id = uuid.uuid4()
    copy = new.post("/api/robot/status", json=body(), headers=marks("legacy", request_id=request_id, shadow=True))
    retry = new.post("/api/robot/status", json=body(), headers=marks("legacy", request_id=request_id))

    if at_once:
        await asyncio.gather(copy, retry)
    else:
        await copy
        await retry

    (stored,) = await fetch(dsn, "SELECT role FROM heartbeat_heartbeat")
    assert stored["role"] == "failover"
    assert (await robot(dsn))["last_role"] == "failover"


async def test_a_role_is_never_lowered(new: httpx.AsyncClient, dsn: str) -> None:
    request_id = uuid.uuid4()
    await new.post("/api/robot/status", json=body(), headers=marks("legacy", request_id=request_id))

    await new.post("/api/robot/status", json=body(), headers=marks("legacy", request_id=request_id, shadow=True))

    (stored,) = await fetch(dsn, "SELECT role FROM heartbeat_heartbeat")
    assert stored["role"] == "failover"


async def test_a_repeated_request_does_not_bring_an_old_state_back(new: httpx.AsyncClient, dsn: str) -> None:
    first = uuid.uuid4()
    await new.post("/api/robot/status", json=body(status="deploying"), headers=marks(request_id=first))
    await new.post("/api/robot/status", json=body(status="success"), headers=marks())

    await new.post("/api/robot/status", json=body(status="deploying"), headers=marks(request_id=first))

    assert (await robot(dsn))["status"] == "success"
    assert (await new.get("/api/robots/Lekiwi_5A3F")).json()["status"] == "success"


async def test_only_its_own_heartbeats_count_as_acknowledged_for_their_owner(new: httpx.AsyncClient, dsn: str) -> None:
    await new.post("/api/robot/status", json=body(), headers=marks("legacy", shadow=True))
    await new.post("/api/robot/status", json=body(), headers=marks("legacy"))
    await new.get("/api/check-update?robot_id=Lekiwi_5A3F&current_version=v1", headers=marks("new"))
    assert (await robot(dsn))["last_acknowledged_as_owner_at"] is None

    await new.post("/api/robot/status", json=body(), headers=marks("new"))

    found = await robot(dsn)
    assert found["last_acknowledged_as_owner_at"] == found["last_seen_at"]


async def test_a_late_heartbeat_is_stored_at_its_place_and_moves_nothing_back(dsn: str, recorder: Recorder) -> None:
    now = datetime.now(UTC)
    late = legacy_beat("r", marks_of({}), call="status", status="idle")
    newer = legacy_beat("r", marks_of({}), call="status", status="failed")
    connection = await asyncpg.connect(dsn)
    await recorder.record(newer)
    # As if another process had received it before, and committed it after.
    late.received_at = late.at = now - timedelta(seconds=5)
    await CarefulWriter(connection).write([late])
    await connection.close()

    found = await robot(dsn, b"r")
    assert (found["status"], found["first_seen_at"]) == ("failed", late.received_at)
    assert found["last_seen_at"] == newer.received_at


async def test_what_another_process_stored_costs_its_neighbours_nothing(dsn: str, recorder: Recorder) -> None:
    names = [f"r{number}" for number in range(8)]
    known = [legacy_beat(name, marks_of({}), call="status", status="idle") for name in names]
    await asyncio.gather(*map(recorder.record, known))
    beats = [legacy_beat(name, marks_of({}), call="status", status="failed") for name in names]
    copy = legacy_beat("r3", marks_of({b"x-shadow": b"1"}), call="status", status="failed")
    copy.request_id = beats[3].request_id
    copy.received_at = copy.at = datetime.now(UTC) + timedelta(seconds=1)
    connection = await asyncpg.connect(dsn)
    await CarefulWriter(connection).write([copy])
    await connection.close()

    outcomes = await asyncio.gather(*map(recorder.record, beats))

    assert [outcome.duplicate for outcome in outcomes] == [False, False, False, True, False, False, False, False]
    assert len(await fetch(dsn, "SELECT FROM heartbeat_heartbeat")) == 16
    assert len(await fetch(dsn, "SELECT FROM heartbeat_robot WHERE status = 'failed'")) == 8
    assert len(await fetch(dsn, "SELECT FROM heartbeat_heartbeat WHERE role = 'shadow'")) == 0


async def test_two_spellings_are_two_rows_and_one_robot(new: httpx.AsyncClient, dsn: str) -> None:
    await new.post("/api/robot/status", json=body("Lekiwi_AB", status="idle"))
    await new.post("/api/robot/status", json=body("lekiwi_ab", status="failed"))

    assert [row["robot_id"] for row in (await new.get("/api/robots")).json()] == ["Lekiwi_AB", "lekiwi_ab"]
    assert (await robot(dsn, b"lekiwi_ab"))["status"] == "failed"
    assert len(await fetch(dsn, "SELECT FROM heartbeat_robot")) == 1


async def test_rows_are_listed_as_first_heard_also_when_they_share_a_commit(new: httpx.AsyncClient) -> None:
    names = [f"r{number:03}" for number in range(60)][::-1]

    await asyncio.gather(*[new.post("/api/robot/status", json=body(name)) for name in names])

    assert [row["robot_id"] for row in (await new.get("/api/robots")).json()] == names


async def test_a_poisonous_row_is_refused_alone(dsn: str, recorder: Recorder) -> None:
    beats = [legacy_beat(f"r{number}", marks_of({}), call="status", status="idle") for number in range(20)]
    beats[7].message = "a\x00b"
    beats[13].health = "{no json"
    beats[17].call = "no such call"

    outcomes = await asyncio.gather(*map(recorder.record, beats), return_exceptions=True)

    refused = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Unstorable)]
    assert refused == [7, 13, 17]
    assert len(await fetch(dsn, "SELECT FROM heartbeat_heartbeat")) == 17


@pytest.mark.parametrize(
    ("health", "answered"),
    [
        ('{"v": NaN}', {"v": None}),
        ('{"v": [-Infinity, 1e999]}', {"v": [None, None]}),
        ('{"k\\u0000": "a\\u0000b"}', {"k\x00": "a\x00b"}),
        ('{"v": "\\ud83d"}', {"v": "\ud83d"}),
        ('{"v": ' + "9" * 400 + "}", {"v": int("9" * 400)}),
        ('{"v": ' + "[" * 400 + "]" * 400 + "}", None),
    ],
)
async def test_an_odd_body_is_stored_and_costs_nobody_their_answer(
    new: httpx.AsyncClient, health: str, answered: object
) -> None:
    odd = '{"robot_id": "odd", "status": "idle", "health": ' + health + "}"
    neighbours = [new.post("/api/robot/status", json=body(f"r{number}")) for number in range(10)]

    answers = await asyncio.gather(new.post("/api/robot/status", content=odd), *neighbours)

    assert {answer.status_code for answer in answers} == {200}
    listed = await new.get("/api/robots")
    assert len(listed.json()) == 11
    row = (await new.get("/api/robots/odd")).json()
    assert answered is None or row["health"] == answered


async def test_texts_with_nul_are_answered_as_they_came(new: httpx.AsyncClient, dsn: str) -> None:
    sent = body("nul\x00id", message="a\x00b")

    assert (await new.post("/api/robot/status", json=sent)).status_code == 200
    await new.get("/api/check-update", params={"robot_id": "nul\x00id", "current_version": "v\x00", "group": "g\x00"})

    row = (await new.get("/api/robots/nul%00id")).json()
    assert (row["robot_id"], row["message"], row["current_version"], row["group"]) == (
        "nul\x00id",
        "a\x00b",
        "v\x00",
        "g\x00",
    )
    (shown,) = await fetch(dsn, "SELECT robot_id FROM heartbeat_robot")
    assert shown["robot_id"] == "nul\u2400id"


async def test_an_id_of_megabytes_is_kept(new: httpx.AsyncClient) -> None:
    long = "x" * 3_000_000

    assert (await new.post("/api/robot/status", json=body(long))).status_code == 200

    assert json.loads((await new.get("/api/robots")).content)[0]["robot_id"] == long


async def test_an_identity_that_is_no_uuid_still_is_one(new: httpx.AsyncClient, dsn: str) -> None:
    headers = {"x-request-id": "trace-17"}
    answers = [await new.post("/api/robot/status", json=body(), headers=headers) for _ in range(2)]

    assert {answer.headers["x-request-id"] for answer in answers} == {"trace-17"}
    assert len(await fetch(dsn, "SELECT FROM heartbeat_heartbeat")) == 1


@pytest.mark.parametrize("which", [0, 1], ids=["what asks", "what sends"])
async def test_the_end_of_either_connection_is_noticed_while_nobody_speaks(dsn: str, which: int) -> None:
    own = "SELECT pid FROM pg_stat_activity WHERE application_name = 'either' ORDER BY backend_start"
    recorder = Recorder(dsn, commit_timeout_seconds=PATIENT_SECONDS, application_name="either")
    recorder.start()
    await recorder.wait_for_first_connection(PATIENT_SECONDS)
    before = [row["pid"] for row in await fetch(dsn, own)]

    await fetch(dsn, "SELECT pg_terminate_backend($1)", before[which])

    now: list[int] = []
    async with asyncio.timeout(PATIENT_SECONDS):
        while len(now) < 2 or not set(now).isdisjoint(before) or not recorder.available:
            await asyncio.sleep(0.01)
            now = [row["pid"] for row in await fetch(dsn, own)]
    assert not (await recorder.record(legacy_beat("r", marks_of({}), call="status", status="idle"))).duplicate
    await recorder.close()
