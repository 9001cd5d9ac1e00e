"""`POST /api/v2/enrol`, on a real database."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from heartbeat.ingest.access import Access, Admitted
from heartbeat.ingest.answers import Answer
from heartbeat.ingest.database import Database
from heartbeat.ingest.enrolling import Enrolling
from heartbeat.ingest.marks import marks_of
from heartbeat.rules.identity import bucket_of, key_of
from heartbeat.rules.pace import Pace
from tests.heartbeat.access.conftest import (
    PATIENCE_SECONDS,
    bearer,
    enrolment_token,
    nobodys_token,
    robot_token,
    run,
)

MARKS = marks_of({}, ("10.0.0.7", 4711))


class Asking:
    """Robots that ask to be enrolled."""

    def __init__(self, dsn: str, access: Access) -> None:
        self.dsn = dsn
        self.access = access
        self._database = Database(dsn, timeout_seconds=PATIENCE_SECONDS)
        self._enrolling = Enrolling(self._database, access)

    async def enrol(self, token: str | None, robot_id: str = "Lekiwi_5A3F", **said: object) -> Answer:
        return await self.post(token, json.dumps({"robot_id": robot_id, **said}).encode())

    async def post(self, token: str | None, body: bytes) -> Answer:
        authorization = None if token is None else bearer(token.encode())
        return await self._enrolling.answer(body, authorization, MARKS)

    async def close(self) -> None:
        await self._database.close()


@pytest.fixture
async def asking(tokens: str, access: Access) -> AsyncIterator[Asking]:
    asking = Asking(tokens, access)
    yield asking
    await asking.close()


def said(answer: Answer) -> dict:
    return json.loads(answer.body)


def live_tokens(dsn: str) -> list[str]:
    return [robot for (robot,) in run(dsn, "SELECT robot_id FROM heartbeat_robottoken WHERE revoked_at IS NULL")]


async def test_a_robot_gets_a_token_that_is_good_at_once_and_is_entered_before_it_is_heard(asking):
    fleet = enrolment_token(asking.dsn, kind="xle", tags=["pilot"])

    answer = await asking.enrol(fleet.token, kind="lekiwi", site="b", tags=["lab", "arm"])

    assert (answer.status, said(answer)["robot_id"]) == (201, "Lekiwi_5A3F")
    assert (b"cache-control", b"no-store") in answer.headers
    admitted = asking.access.admit_token(said(answer)["token"].encode())
    assert isinstance(admitted, Admitted)
    assert admitted.robot_key == key_of("lekiwi_5a3f")
    (robot,) = run(
        asking.dsn,
        "SELECT robot_id, bucket, kind, site, tags, enrolled_at IS NOT NULL, last_seen_at FROM heartbeat_robot",
    )
    assert robot == ("Lekiwi_5A3F", bucket_of("lekiwi_5a3f"), "xle", "b", ["arm", "lab", "pilot"], True, None)
    ((token_row,),) = run(asking.dsn, "SELECT row_to_json(t)::text FROM heartbeat_robottoken t")
    assert said(answer)["token"] not in token_row


async def test_no_more_robots_enrol_than_the_token_is_good_for_however_many_ask_at_once(asking):
    fleet = enrolment_token(asking.dsn, uses=3)

    answers = await asyncio.gather(*(asking.enrol(fleet.token, f"lekiwi_{n}") for n in range(10)))

    assert sorted(answer.status for answer in answers) == [201] * 3 + [403] * 7
    assert len(live_tokens(asking.dsn)) == 3
    assert run(asking.dsn, "SELECT uses_left FROM heartbeat_enrolmenttoken") == [(0,)]


async def test_a_robot_whose_answer_was_lost_asks_again_and_has_one_token_in_the_end(asking):
    fleet = enrolment_token(asking.dsn)

    answers = await asyncio.gather(*(asking.enrol(fleet.token) for _ in range(5)))

    assert {answer.status for answer in answers} == {201}
    assert live_tokens(asking.dsn) == ["Lekiwi_5A3F"]


@pytest.mark.parametrize("how", ["used", "old", "issued by a person"])
async def test_an_id_that_has_a_token_is_not_enrolled_again(asking, how):
    fleet = enrolment_token(asking.dsn)
    if how == "issued by a person":
        robot_token(asking.dsn, "LEKIWI_5a3f")
    else:
        await asking.enrol(fleet.token)
        change = {"used": "last_used_at = now()", "old": "created_at = now() - interval '1 hour'"}[how]
        run(asking.dsn, f"UPDATE heartbeat_robottoken SET {change}")
    left = run(asking.dsn, "SELECT uses_left FROM heartbeat_enrolmenttoken")

    answer = await asking.enrol(fleet.token)

    assert (answer.status, said(answer)["title"]) == (409, "The robot has a token")
    assert len(live_tokens(asking.dsn)) == 1
    assert run(asking.dsn, "SELECT uses_left FROM heartbeat_enrolmenttoken") == left


async def test_a_token_that_replaces_revokes_the_one_before(asking):
    old = robot_token(asking.dsn, "lekiwi_5a3f")
    fleet = enrolment_token(asking.dsn, replaces=True)

    answer = await asking.enrol(fleet.token)

    assert answer.status == 201
    rows = run(asking.dsn, "SELECT revoked_at IS NULL, revoked_by FROM heartbeat_robottoken ORDER BY id")
    assert rows == [(False, f"enrolment {fleet.prefix}…"), (True, "")]
    assert old != said(answer)["token"].encode()


async def test_a_token_that_is_not_good_enrols_nobody(asking):
    expired, revoked = enrolment_token(asking.dsn, hours=-1), enrolment_token(asking.dsn)
    run(asking.dsn, "UPDATE heartbeat_enrolmenttoken SET revoked_at = now() WHERE prefix = %s", revoked.prefix)
    robots = robot_token(asking.dsn).decode()
    unknown = "lke_" + nobodys_token().decode()[4:]

    answers = [await asking.enrol(token) for token in (expired.token, revoked.token, robots, unknown, None)]

    assert [answer.status for answer in answers] == [401] * 5
    assert all(answer.content_type == b"application/problem+json" for answer in answers)
    assert run(asking.dsn, "SELECT count(*) FROM heartbeat_robottoken") == [(1,)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "robot_id"),
        (b'{"robot_id": ""}', "robot_id"),
        (b'{"robot_id": "a\\nb"}', "robot_id"),
        (b'{"robot_id": "%s"}' % ("é" * 100).encode(), "robot_id"),
        (b'{"robot_id": 7}', "robot_id"),
        (b'{"robot_id": "a", "kind": "toaster"}', "kind"),
        (b'{"robot_id": "a", "site": "a\\u0000"}', "site"),
        (b'{"robot_id": "a", "tags": ["lab", "Not A Tag"]}', "tags[1]"),
        (b'{"robot_id": "a", "tags": "lab"}', "tags"),
        (b'{"robot_id": "a", "role": "admin"}', "role"),
        (b'{"robot_id": "\xff"}', ""),
        (b"[" * 5_000, ""),
        (b'{"robot_id": "a", "site": "%s"}' % (b"x" * 5_000), ""),
        (b"", ""),
    ],
)
async def test_a_bad_body_is_refused_by_field_and_reason_and_costs_no_use(asking, body, field):
    fleet = enrolment_token(asking.dsn, uses=1)

    answer = await asking.post(fleet.token, body)

    assert (answer.status, answer.content_type) == (422, b"application/problem+json")
    assert [error["field"] for error in said(answer)["errors"]] == [field]
    assert said(answer)["errors"][0]["reason"]
    assert run(asking.dsn, "SELECT uses_left FROM heartbeat_enrolmenttoken") == [(1,)]


async def test_without_a_database_a_robot_is_asked_to_come_back():
    asking = Asking("postgres:///nowhere?host=/nonexistent", Access("postgres:///nowhere?host=/nonexistent"))

    answer = await asking.enrol("lke_anything")

    assert answer.status == 503
    assert b"retry-after" in dict(answer.headers)


async def test_an_address_that_asks_too_often_is_slowed_before_the_database_is_asked():
    nowhere = "postgres:///nowhere?host=/nonexistent"
    asking = Asking(nowhere, Access(nowhere, pace=Pace(0.5, 1), ticks=lambda: 100.0))

    statuses = [(await asking.enrol("lke_guess")).status for _ in range(2)]

    assert statuses == [503, 429]
