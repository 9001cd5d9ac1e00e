import json
from typing import Any

import asyncpg
import httpx
import pytest

from heartbeat.ingest.batches import MOST_HEARTBEATS
from tests.heartbeat.conftest import ENROLLED


def numbered(sequence: Any, **fields: Any) -> dict[str, Any]:
    return {"robot_id": ENROLLED, "boot_id": "boot-1", "sequence": sequence, **fields}


def statuses(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["status"] for one in answer.json()["results"]]


async def count(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    found: int = await connection.fetchval("SELECT count(*) FROM heartbeat_heartbeat")
    await connection.close()
    return found


@pytest.mark.parametrize("as_lines", [False, True])
async def test_a_backlog_is_stored_with_a_result_for_each(new: httpx.AsyncClient, dsn: str, as_lines: bool) -> None:
    items = [numbered(number) for number in range(2_500)]
    if as_lines:
        lines = "\n".join(json.dumps(item) for item in items)
        headers = {"content-type": "application/x-ndjson"}
        answer = await new.post("/api/v2/heartbeats", content=lines, headers=headers)
    else:
        answer = await new.post("/api/v2/heartbeats", json=items)

    assert statuses(answer) == ["accepted"] * 2_500
    assert (answer.json()["accepted"], answer.json()["duplicates"], answer.json()["refused"]) == (2_500, 0, 0)
    assert await count(dsn) == 2_500


async def test_what_is_wrong_is_refused_alone_and_named(new: httpx.AsyncClient, dsn: str) -> None:
    items: list[Any] = [
        numbered(1),
        numbered(2, battery_percent=101),
        numbered(3, message="a\x00b"),
        numbered(1),
        5,
        {"robot_id": ENROLLED},
        {**numbered(4), "robot_id": "another"},
        numbered(5),
    ]

    answer = await new.post("/api/v2/heartbeats", json=items)

    assert statuses(answer) == [
        *("accepted", "refused", "refused", "duplicate", "refused", "refused", "refused", "accepted")
    ]
    fields = [one["errors"][0]["field"] for one in answer.json()["results"] if one["status"] == "refused"]
    assert fields == ["battery_percent", "message", "", "sequence", "robot_id"]
    assert await count(dsn) == 2


async def test_a_batch_that_is_sent_again_is_stored_once(new: httpx.AsyncClient, dsn: str) -> None:
    items = [numbered(number) for number in range(50)]
    await new.post("/api/v2/heartbeats", json=items)

    again = await new.post("/api/v2/heartbeats", json=[*items, numbered(50)])

    assert statuses(again) == ["duplicate"] * 50 + ["accepted"]
    assert await count(dsn) == 51


@pytest.mark.parametrize(
    ("content", "content_type", "reason"),
    [
        (b"[{", "application/json", "not valid JSON"),
        (b"{}", "application/json", "no array"),
        (b"[]", "text/csv", "application/x-ndjson"),
        (b"[" + b",".join([b"{}"] * (MOST_HEARTBEATS + 1)) + b"]", "application/json", "at most 10000"),
    ],
)
async def test_what_is_no_batch_at_all(new: httpx.AsyncClient, content: bytes, content_type: str, reason: str) -> None:
    answer = await new.post("/api/v2/heartbeats", content=content, headers={"content-type": content_type})

    assert answer.status_code == 422
    assert reason in answer.json()["errors"][0]["reason"]


async def test_nothing_is_taken_without_a_token(new: httpx.AsyncClient, dsn: str) -> None:
    headers = {"authorization": "Bearer lkr_of-nobody"}

    for path in ("/api/v2/heartbeats", "/api/v2/heartbeat"):
        assert (await new.post(path, json=[numbered(1)], headers=headers)).status_code == 401

    assert await count(dsn) == 0


async def test_a_ping_is_a_heartbeat_of_whoever_holds_the_token(new: httpx.AsyncClient, dsn: str, token: str) -> None:
    answer = await new.get(f"/api/v2/ping/{token}?status=busy&next_in_s=60")

    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert (await new.get("/api/v2/ping/lkr_of-nobody")).status_code == 401
    assert (await new.post(f"/api/v2/ping/{token}?next_in_s=-1")).json()["errors"][0]["field"] == "next_in_s"
    connection = await asyncpg.connect(dsn)
    robot = await connection.fetchrow("SELECT robot_id, status, interval_seconds FROM heartbeat_robot")
    await connection.close()
    assert tuple(robot) == (ENROLLED, "busy", 60)
