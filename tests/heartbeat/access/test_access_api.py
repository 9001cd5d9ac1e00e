"""Tokens and closures in the REST API, and operators' tokens as a way into it."""

import asyncio
import os
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test import Client

from heartbeat.access import robot_tokens
from heartbeat.ingest.access import Access, Admitted, Refusal
from heartbeat.models import LegacyClosure, RobotToken
from migration.models import AuditEntry
from tests.dashboard.conftest import _audit_is_guarded_again, committed_db  # noqa: F401
from tests.heartbeat.access.asking import API, logged_in, person, post
from tests.heartbeat.access.conftest import PATIENCE_SECONDS, eventually


@pytest.fixture
def ada(db) -> Client:
    return logged_in(person())


def test_a_robots_token_is_shown_once_rotated_and_revoked(ada):
    issued = post(ada, "robots/lekiwi_1/tokens", {"site": "b"})
    first = issued.json()
    rotated = post(ada, f"robots/LEKIWI_1/tokens/{first['id']}/rotate", {"overlap_seconds": 60})
    revoked = ada.delete(f"{API}/robots/lekiwi_1/tokens/{rotated.json()['id']}")

    assert (issued.status_code, rotated.status_code, revoked.status_code) == (201, 201, 204)
    assert issued["cache-control"] == "no-store"
    assert first["token"].startswith(first["prefix"])
    assert first["token"] != rotated.json()["token"]
    listed = ada.get(f"{API}/robots/lekiwi_1/tokens")
    assert [(one["prefix"], one["revoked_by"]) for one in listed.json()["results"]] == [
        (rotated.json()["prefix"], "ada"),
        (first["prefix"], ""),
    ]
    assert first["token"] not in listed.content.decode()
    live = ada.get(f"{API}/robots/lekiwi_1/tokens?live=true").json()["results"]
    assert [one["id"] for one in live] == [first["id"]]
    assert ada.get(f"{API}/robots/lekiwi_1").json()["site"] == "b"


def test_a_robot_that_has_a_token_gets_no_second_one_beside_it(ada):
    token = post(ada, "robots/lekiwi_1/tokens").json()
    again = post(ada, "robots/Lekiwi_1/tokens")
    ada.delete(f"{API}/robots/lekiwi_1/tokens/{token['id']}")
    dead = post(ada, f"robots/lekiwi_1/tokens/{token['id']}/rotate")

    assert (again.status_code, dead.status_code) == (409, 409)
    assert again["content-type"] == "application/problem+json"
    assert "rotate it" in again.json()["detail"]
    assert ada.delete(f"{API}/robots/lekiwi_2/tokens/{token['id']}").status_code == 404


def test_enrolment_tokens_are_made_listed_and_revoked(ada):
    body = {"uses": 50, "expires_in_seconds": 86_400, "kind": "xle", "tags": ["pilot"], "note": "pilot fleet"}
    made = post(ada, "enrolment-tokens", body)
    ada.delete(f"{API}/enrolment-tokens/{made.json()['id']}")

    assert made.status_code == 201
    assert made.json()["token"].startswith("lke_")
    (listed,) = ada.get(f"{API}/enrolment-tokens").json()["results"]
    assert (listed["uses_left"], listed["tags"], listed["revoked_by"]) == (50, ["pilot"], "ada")
    assert "token" not in listed
    assert ada.get(f"{API}/enrolment-tokens?live=true").json()["results"] == []


def test_the_legacy_path_is_closed_for_a_cohort_and_opened_again(ada):
    closed = post(ada, "legacy-closures", {"kind": "xle", "reason": "all speak v2"})
    twice = post(ada, "legacy-closures", {"kind": "xle", "reason": "again"})
    opened = ada.delete(f"{API}/legacy-closures/{closed.json()['id']}")

    assert (closed.status_code, twice.status_code, opened.status_code) == (201, 409, 204)
    assert LegacyClosure.objects.get().opened_by == "ada"
    assert ada.get(f"{API}/legacy-closures?closed=true").json()["results"] == []
    assert len(ada.get(f"{API}/legacy-closures?closed=false").json()["results"]) == 1


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("robots/lekiwi_1/tokens", {"kind": "toaster"}, "kind"),
        ("robots/lekiwi_1/tokens", {"tags": ["Not A Tag"]}, "tags[0]"),
        ("robots/lekiwi_1/tokens", {"site": "a\x00"}, "site"),
        ("robots/lekiwi_1/tokens", {"expires_in_seconds": 0}, "expires_in_seconds"),
        ("robots/lekiwi_1/tokens", {"expires_in_seconds": 1e300}, "expires_in_seconds"),
        ("robots/lekiwi_1/tokens", {"expires_at": "2027-01-01T00:00:00Z"}, "expires_at"),
        ("robots/lekiwi_1/tokens?exipres_at=1", {}, "exipres_at"),
        ("enrolment-tokens", {"expires_in_seconds": 86_400}, "uses"),
        ("enrolment-tokens", {"uses": "7", "expires_in_seconds": 86_400}, "uses"),
        ("enrolment-tokens", {"uses": 7, "expires_in_seconds": 86_400, "replaces": 1}, "replaces"),
        ("enrolment-tokens", {"uses": 0, "expires_in_seconds": 86_400}, "uses"),
        ("enrolment-tokens", {"uses": 10}, "expires_in_seconds"),
        ("operator-tokens", {"name": "x", "scopes": [], "expires_in_seconds": 86_400}, "scopes"),
        ("operator-tokens", {"name": "x", "scopes": ["robots:*"], "expires_in_seconds": 86_400}, "scopes[0]"),
        ("legacy-closures", {"kind": "xle"}, "reason"),
        ("legacy-closures", {"reason": "everybody"}, ""),
        ("legacy-closures", [], ""),
    ],
)
def test_bad_input_names_the_field_and_makes_nothing(ada, path, body, field):
    answer = post(ada, path, body)

    assert (answer.status_code, answer["content-type"]) == (400, "application/problem+json")
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert not RobotToken.objects.exists()
    assert not LegacyClosure.objects.exists()


@pytest.mark.parametrize(
    ("robot_id", "reason"),
    [("a%0Ab", "it holds control characters"), ("a%00b", "it holds"), ("x" * 129, "over 128 bytes")],
)
def test_an_id_that_cannot_speak_v2_is_given_no_token(ada, robot_id, reason):
    answer = post(ada, f"robots/{robot_id}/tokens")

    assert answer.status_code == 404
    assert f"no robot can have this id: {reason}" in answer.json()["detail"]


def test_each_action_has_a_permission_of_its_own(db):
    viewer = logged_in(person("viewer", ()))
    answers = {
        path: post(viewer, path).status_code
        for path in (
            "robots/r/tokens",
            "robots/r/tokens/1/rotate",
            "enrolment-tokens",
            "operator-tokens",
            "legacy-closures",
        )
    }
    for path in ("robots/r/tokens/1", "enrolment-tokens/1", "legacy-closures/1"):
        answers[f"delete {path}"] = viewer.delete(f"{API}/{path}").status_code
    for path in ("robots/r/tokens", "enrolment-tokens"):
        answers[f"get {path}"] = viewer.get(f"{API}/{path}").status_code

    assert set(answers.values()) == {403}
    assert viewer.get(f"{API}/legacy-closures").status_code == 200
    assert Client().get(f"{API}/robots").status_code == 401
    assert Client().get(f"{API}/robots")["www-authenticate"] == 'Bearer realm="operators"'


def test_people_see_and_revoke_their_own_tokens_and_managers_everybodys(db):
    ada, bob = person("ada"), person("bob")
    manager = logged_in(person("eve", ("manage_operator_tokens",)))
    body = {"name": "nightly report", "scopes": ["robots:read"], "expires_in_seconds": 86_400}
    made = post(logged_in(ada), "operator-tokens", body).json()

    assert logged_in(bob).get(f"{API}/operator-tokens").json()["results"] == []
    assert logged_in(bob).delete(f"{API}/operator-tokens/{made['id']}").status_code == 404
    (seen,) = manager.get(f"{API}/operator-tokens").json()["results"]
    assert (seen["user"], seen["name"], seen["prefix"]) == ("ada", "nightly report", made["prefix"])
    assert manager.delete(f"{API}/operator-tokens/{made['id']}").status_code == 204
    script = Client(headers={"authorization": f"Bearer {made['token']}"})
    assert script.get(f"{API}/robots").status_code == 401


def test_the_admin_shows_tokens_without_their_hashes_and_revokes_them(client, admin_user):
    row, _ = robot_tokens.issue("lekiwi_1", by="ada", at=datetime.now(UTC))
    client.force_login(admin_user)

    for model in ("robottoken", "enrolmenttoken", "operatortoken", "legacyclosure"):
        assert client.get(f"/admin/heartbeat/{model}/").status_code == 200
        assert client.get(f"/admin/heartbeat/{model}/add/").status_code == 403
    page = client.get(f"/admin/heartbeat/robottoken/{row.pk}/change/").content.decode()
    assert row.prefix in page
    assert bytes(row.digest).hex() not in page
    client.post("/admin/heartbeat/robottoken/", {"action": "revoke", "_selected_action": [row.pk]})
    assert RobotToken.objects.get().revoked_by == "admin"
    assert AuditEntry.objects.filter(action="token.revoked", actor="admin").exists()


async def test_what_is_revoked_through_the_api_is_refused_by_ingest_at_once(committed_db):
    def operate() -> tuple[str, str, Client]:
        ada = logged_in(person())
        issued = post(ada, "robots/lekiwi_1/tokens").json()
        dsn = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
        return dsn.geturl(), issued, ada

    def revoke(ada: Client, pk: int) -> int:
        try:
            return ada.delete(f"{API}/robots/lekiwi_1/tokens/{pk}").status_code
        finally:
            connections.close_all()

    dsn, issued, ada = await sync_to_async(operate)()
    access = Access(dsn, check_seconds=PATIENCE_SECONDS)
    access.start()
    await access.wait_for_first_load(PATIENCE_SECONDS)
    try:
        assert isinstance(access.admit_token(issued["token"].encode()), Admitted)

        assert await sync_to_async(revoke)(ada, issued["id"]) == 204
        # The comparison is far away: what is seen here is the notice.
        async with asyncio.timeout(PATIENCE_SECONDS / 2):
            await eventually(lambda: isinstance(access.admit_token(issued["token"].encode()), Refusal))
    finally:
        await access.close()
