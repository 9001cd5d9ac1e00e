"""What ingest lets in, on a real database."""

import asyncio
import time

import psycopg
import pytest
from structlog.testing import capture_logs

from heartbeat.access.metrics import UNCREDENTIALED
from heartbeat.ingest.access import Access, Admitted, Refusal
from heartbeat.rules.identity import key_of
from heartbeat.rules.pace import Pace
from tests.heartbeat.access.conftest import (
    PATIENCE_SECONDS,
    at_the_door,
    bearer,
    eventually,
    nobodys_token,
    robot_token,
    run,
)


def refused(answer: object) -> tuple[int, str]:
    assert isinstance(answer, Refusal)
    return answer.status, answer.reason


def test_before_tokens_were_ever_read_everybody_is_asked_to_come_back():
    access = Access("postgres:///nowhere?host=/nonexistent")

    assert refused(access.admit(bearer(nobodys_token()))) == (503, "not_loaded")
    assert refused(access.admit_legacy(b"r", at_the_door(), None, False)) == (503, "not_loaded")
    answer = access.admit(bearer(nobodys_token())).as_problem()
    assert (b"retry-after", b"1") in answer.headers


async def test_a_token_speaks_for_its_robot_and_for_no_other(access, tokens):
    token = robot_token(tokens, "Lekiwi_1")
    await eventually(lambda: isinstance(access.admit_token(token), Admitted))

    assert access.admit(bearer(token))[:2] == (key_of("LEKIWI_1"), "Lekiwi_1")
    assert access.admit(b"bearer " + token) == access.admit_token(token)
    assert refused(access.admit(None)) == (401, "no_token")
    assert refused(access.admit(b"Basic bGVraXdp")) == (401, "no_token")
    assert refused(access.admit(bearer(token[:-1]))) == (401, "unknown_token")
    assert refused(access.admit(bearer(nobodys_token()))) == (401, "unknown_token")


def test_a_refusal_is_told_in_the_dialect_of_the_call():
    refusal = Access("postgres:///nowhere?host=/nonexistent").admit(None)

    as_problem, as_legacy = refusal.as_problem(), refusal.as_legacy()

    assert as_problem.content_type == b"application/problem+json"
    assert b'"status":401' in as_problem.body
    assert as_legacy.body == b'{"detail": "send Authorization: Bearer with the robot\'s token (lkr_\\u2026)"}'
    assert all((b"www-authenticate", b'Bearer realm="robots"') in one.headers for one in (as_problem, as_legacy))


async def test_a_revoked_token_is_refused_at_once_and_open_sockets_are_told(access, tokens):
    token = robot_token(tokens)
    await eventually(lambda: isinstance(access.admit_token(token), Admitted))
    admitted = access.admit_token(token)
    told: list[bool] = []
    access.when_changed(lambda: told.append(access.still_admits(admitted)))

    run(tokens, "UPDATE heartbeat_robottoken SET revoked_at = now()")
    await eventually(lambda: told)

    assert told == [False]
    assert refused(access.admit_token(token)) == (401, "unknown_token")


async def test_a_token_is_good_until_the_moment_at_which_it_expires(tokens):
    now = time.time()
    access = Access(tokens, clock=lambda: now)
    token = robot_token(tokens, expires_in_seconds=60)
    access.start()
    await access.wait_for_first_load(PATIENCE_SECONDS)
    try:
        admitted = access.admit_token(token)
        assert isinstance(admitted, Admitted)
        now += 61

        assert refused(access.admit_token(token)) == (401, "unknown_token")
        assert not access.still_admits(admitted)
        assert access.admit_legacy(key_of("lekiwi_1"), at_the_door(), None, False) is None
    finally:
        await access.close()


async def test_what_a_lost_notice_hid_is_found_by_comparing(tokens):
    access = Access(tokens, check_seconds=0.05)
    # Nothing else holds the tables yet, and nothing does any more when the triggers are put back.
    run(tokens, "ALTER TABLE heartbeat_robottoken DISABLE TRIGGER USER")
    try:
        access.start()
        await access.wait_for_first_load(PATIENCE_SECONDS)
        token = robot_token(tokens)
        await eventually(lambda: isinstance(access.admit_token(token), Admitted))
        run(tokens, "UPDATE heartbeat_robottoken SET revoked_at = now()")
        await eventually(lambda: isinstance(access.admit_token(token), Refusal))
    finally:
        await access.close()
        run(tokens, "ALTER TABLE heartbeat_robottoken ENABLE TRIGGER USER")


async def test_after_a_lost_connection_it_knows_what_changed_meanwhile_and_admitted_all_the_time(access, tokens):
    kept, revoked = robot_token(tokens, "lekiwi_1"), robot_token(tokens, "lekiwi_2")
    await eventually(lambda: isinstance(access.admit_token(revoked), Admitted))
    # In one transaction, so that the connection is gone when the notice could be sent.
    with psycopg.connect(tokens) as connection:
        connection.execute("UPDATE heartbeat_robottoken SET revoked_at = now() WHERE robot_id = 'lekiwi_2'")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'access' AND datname = current_database()"
        )
        await asyncio.sleep(0)
        assert isinstance(access.admit_token(kept), Admitted)
    await eventually(lambda: isinstance(access.admit_token(revoked), Refusal))

    assert isinstance(access.admit_token(kept), Admitted)


async def test_ten_thousand_tokens_issued_at_once_are_known(access, tokens):
    run(
        tokens,
        "INSERT INTO heartbeat_robottoken (robot_key, robot_id, digest, prefix, created_at, created_by)"
        " SELECT n::text::bytea, n::text, sha256(n::text::bytea), 'lkr_', now(), '' FROM generate_series(1, 10000) n",
    )
    await eventually(lambda: isinstance(access.admit_token(b"10000"), Admitted))

    assert {access.admit_token(b"%d" % n).robot_id for n in (1, 5000, 9999)} == {"1", "5000", "9999"}


async def test_it_is_written_down_that_a_token_was_used(access, tokens):
    token = robot_token(tokens)
    await eventually(lambda: isinstance(access.admit_token(token), Admitted))

    await access.close()

    ((used,),) = run(tokens, "SELECT last_used_at > now() - interval '1 minute' FROM heartbeat_robottoken")
    assert used


def test_use_is_no_change_that_anybody_is_notified_of(tokens):
    robot_token(tokens)
    with psycopg.connect(tokens, autocommit=True) as listener:
        listener.execute("LISTEN heartbeat_access")
        run(tokens, "UPDATE heartbeat_robottoken SET last_used_at = now()")
        run(tokens, "UPDATE heartbeat_robottoken SET expires_at = now()")
        run(tokens, "DELETE FROM heartbeat_robottoken")
        heard = [notice.payload for notice in listener.notifies(timeout=PATIENCE_SECONDS, stop_after=2)]

    assert heard == ["1", "1"]


class TestTheLegacyPath:
    async def test_only_the_doors_word_is_taken(self, access):
        refusal = access.admit_legacy(key_of("lekiwi_1"), at_the_door(side=b""), None, False)

        assert refused(refusal) == (403, "not_the_door")
        assert access.admit_legacy(key_of("lekiwi_1"), at_the_door(), None, False) is None
        assert access.admit_legacy(key_of("lekiwi_1"), at_the_door(side=b"legacy"), None, False) is None

    async def test_calls_without_credentials_are_counted_and_each_robot_is_logged_once(self, access):
        before = UNCREDENTIALED._value.get()

        with capture_logs() as logs:
            for robot in ("lekiwi_1", "lekiwi_2", "lekiwi_1"):
                access.admit_legacy(key_of(robot), at_the_door(), None, False)

        assert UNCREDENTIALED._value.get() - before == 3
        assert [one["robot"] for one in logs] == ["lekiwi_1", "lekiwi_2"]

    async def test_an_id_that_has_a_token_is_refused_without_it_unless_v2_is_refused(self, access, tokens):
        key = key_of("lekiwi_1")
        own, others = robot_token(tokens, "lekiwi_1"), robot_token(tokens, "lekiwi_2")
        await eventually(lambda: isinstance(access.admit_token(others), Admitted))

        assert access.admit_legacy(key, at_the_door(), bearer(own), False) is None
        assert refused(access.admit_legacy(key, at_the_door(), None, False)) == (401, "token_needed")
        assert refused(access.admit_legacy(key, at_the_door(), bearer(nobodys_token()), False)) == (401, "token_needed")
        assert refused(access.admit_legacy(key, at_the_door(), bearer(others), False)) == (403, "others_token")
        marks = at_the_door(v2_refused=True)
        assert marks.v2_refused
        assert access.admit_legacy(key, marks, None, marks.v2_refused) is None

    @pytest.mark.parametrize(
        ("cohort", "closed_for"),
        [
            ({"kind": "xle"}, {"xle_known", "xle_unheard"}),
            ({"site": "b"}, {"xle_known", "lekiwi_b"}),
            ({"tag": "lab"}, {"lekiwi_b"}),
            ({"kind": "lekiwi", "site": "b"}, {"lekiwi_b"}),
        ],
    )
    async def test_a_closed_cohort_is_refused_with_a_hint_until_it_is_opened_or_v2_refused(
        self, access, tokens, cohort, closed_for
    ):
        enter = "SELECT heartbeat_enter_robot(%s, %s, 0::int2, %s, '', %s, %s::text[])"
        run(tokens, enter, key_of("xle_known"), "xle_known", "xle", "b", [])
        run(tokens, enter, key_of("lekiwi_b"), "lekiwi_b", "lekiwi", "b", ["lab"])
        columns = {"kind": "", "site": "", "tag": "", **cohort}
        run(
            tokens,
            "INSERT INTO heartbeat_legacyclosure (kind, site, tag, reason, closed_at, closed_by)"
            " VALUES (%s, %s, %s, 'a test', now(), 'a test')",
            *columns.values(),
        )
        robots = ("xle_known", "xle_unheard", "lekiwi_b", "lekiwi_unheard")

        def closed(v2_refused: bool = False) -> set[str]:
            answers = {one: access.admit_legacy(key_of(one), at_the_door(), None, v2_refused) for one in robots}
            assert all("POST /api/v2/enrol" in answer.detail for answer in answers.values() if answer)
            return {one for one, answer in answers.items() if answer and answer.status == 403}

        await eventually(closed)
        assert closed() == closed_for
        assert closed(v2_refused=True) == set()
        run(tokens, "UPDATE heartbeat_legacyclosure SET opened_at = now()")
        await eventually(lambda: not closed())


def test_a_robot_that_calls_too_often_waits_and_the_others_do_not():
    now = 100.0
    access = Access("postgres:///nowhere?host=/nonexistent", pace=Pace(2, 3), ticks=lambda: now)

    allowed = [access.allow(b"one") for _ in range(4)]

    assert allowed[:3] == [None] * 3
    assert allowed[3] == pytest.approx(0.5)
    assert access.allow(b"other") is None
    now += 0.5
    assert access.allow(b"one") is None


def test_paces_of_rested_robots_are_forgotten():
    now = 100.0
    access = Access("postgres:///nowhere?host=/nonexistent", ticks=lambda: now)
    for robot in range(20_000):
        access.allow(b"%d" % robot)
    now += 60
    access.allow(b"the next one")

    assert len(access._full_at) == 1
