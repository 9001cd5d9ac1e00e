"""What all lists have in common, asked of the robots."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from heartbeat.models import Robot
from tests.heartbeat.api.conftest import enrolled, robot

pytestmark = pytest.mark.django_db

ROBOTS = "/api/v2/robots"


def ids(client: Client, **parameters: Any) -> list[str]:
    answer = client.get(ROBOTS, parameters)
    assert answer.status_code == 200, answer.content
    return [one["id"] for one in answer.json()["results"]]


def refusals(answer: Any) -> list[tuple[str, str]]:
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), answer.content
    return [(error["field"], error["reason"]) for error in answer.json()["errors"]]


@pytest.fixture
def fleet() -> None:
    robot("Lekiwi_1", site="Bremen", tags=["arm", "lab"], protocol="v2", version="v2.0.0")
    robot("XLE_2", kind_by_id="xle", site="Kyoto", silent_seconds=100, last_side="legacy", tags=["lab"])
    robot("Lekiwi_3", silent_seconds=1_000, status="failed", last_side="")
    enrolled("Lekiwi_4", site="Kyoto")


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ["Lekiwi_1", "Lekiwi_3", "Lekiwi_4", "XLE_2"]),
        ({"kind": "xle"}, ["XLE_2"]),
        ({"kind": ["xle", "lekiwi"], "site": "Kyoto"}, ["Lekiwi_4", "XLE_2"]),
        ({"status": "failed"}, ["Lekiwi_3"]),
        ({"liveness": "late"}, ["XLE_2"]),
        ({"liveness": ["offline", "never"]}, ["Lekiwi_3", "Lekiwi_4"]),
        ({"owner": "legacy"}, ["XLE_2"]),
        ({"owner": "unmarked"}, ["Lekiwi_3", "Lekiwi_4"]),
        ({"protocol": "v2"}, ["Lekiwi_1"]),
        ({"version": "v2.0.0"}, ["Lekiwi_1"]),
        ({"tag": "lab"}, ["Lekiwi_1", "XLE_2"]),
        ({"tag": ["lab", "arm"]}, ["Lekiwi_1"]),
        ({"heard": "false"}, ["Lekiwi_4"]),
        ({"heard": "true", "kind": "lekiwi"}, ["Lekiwi_1", "Lekiwi_3"]),
        ({"search": "kyo"}, ["Lekiwi_4", "XLE_2"]),
        ({"search": "XLE"}, ["XLE_2"]),
        ({"search": "arm"}, ["Lekiwi_1"]),
        ({"search": "%"}, []),
        ({"order": "-last_seen"}, ["Lekiwi_1", "XLE_2", "Lekiwi_3", "Lekiwi_4"]),
        ({"order": "site"}, ["Lekiwi_3", "Lekiwi_1", "Lekiwi_4", "XLE_2"]),
        ({"order": "-version"}, ["Lekiwi_1", "XLE_2", "Lekiwi_3", "Lekiwi_4"]),
    ],
)
def test_robots_are_found_by_what_is_asked(reader: Client, parameters: dict[str, Any], expected: list[str]) -> None:
    assert ids(reader, **parameters) == expected


@pytest.mark.usefixtures("fleet")
def test_robots_are_found_by_when_they_were_heard(reader: Client) -> None:
    then = (datetime.now(UTC) - timedelta(seconds=500)).isoformat()

    assert ids(reader, last_seen_after=then) == ["Lekiwi_1", "XLE_2"]
    assert ids(reader, last_seen_before=then) == ["Lekiwi_3"]


@pytest.mark.parametrize("order", ["id", "-id", "-last_seen", "battery_percent", "-version", "bucket"])
def test_every_robot_is_on_one_page_in_any_order_and_the_way_back_is_the_same(reader: Client, order: str) -> None:
    for number in range(7):
        robot(f"r{number}", silent_seconds=number // 2, battery_percent=number % 3 or None, version=None, bucket=None)
    enrolled("r7")
    forth = [reader.get(ROBOTS, {"order": order, "limit": 3}).json()]
    while forth[-1]["next"] and len(forth) < 10:
        forth.append(reader.get(forth[-1]["next"]).json())
    back = [forth[-1]]
    while back[-1]["previous"] and len(back) < 10:
        back.append(reader.get(back[-1]["previous"]).json())

    pages = [[one["id"] for one in page["results"]] for page in forth]
    whole = [robot_id for page in pages for robot_id in page]
    assert sorted(whole) == [f"r{number}" for number in range(8)]
    assert whole == ids(reader, order=order)
    assert [[one["id"] for one in page["results"]] for page in reversed(back)] == pages


def test_a_robot_that_comes_or_goes_between_two_pages_moves_no_other(reader: Client) -> None:
    for name in "bdf":
        robot(name)
    first = reader.get(ROBOTS, {"limit": 2}).json()

    robot("a")
    Robot.objects.filter(robot_id="d").delete()

    assert [one["id"] for one in reader.get(first["next"]).json()["results"]] == ["f"]


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("knid=xle", "knid", "is not a parameter here; there are"),
        ("kind=xel", "kind", '"xel" is not a valid choice.'),
        ("kind=", "kind", "is not a valid choice"),
        ("site=", "site", "may not be blank"),
        ("limit=0", "limit", "greater than or equal to 1"),
        ("limit=1&limit=2", "limit", "is given more than once"),
        ("limit=99999999999999999999", "limit", "less than or equal to"),
        ("limit=" + "9" * 5_000, "limit", "too large"),
        ("order=colour", "order", "is not a valid choice"),
        ("search=%00", "search", "Null characters"),
        ("tag=%00", "tag", "Null characters"),
        ("last_seen_after=yesterday", "last_seen_after", "wrong format"),
        ("last_seen_after=0000-00-00T00:00Z", "last_seen_after", "wrong format"),
        ("last_seen_before=0001-01-01T00:00:00%2B14:00", "last_seen_before", "out of range"),
        ("heard=perhaps", "heard", "valid boolean"),
        ("fields=id,colour", "fields", "has no 'colour'; there are id,"),
        ("format=xml", "format", "is not offered here; there is json, csv"),
        ("cursor=!", "cursor", "is none that this list made"),
        ("cursor=%FF%00", "cursor", "Null characters"),
        ("cursor=" + "A" * 4_000, "cursor", "is none that this list made"),
        ("cursor=W10", "cursor", "is none that this list made"),
        ("cursor=WyJpZCIsIGZhbHNlLCBOYU4sIDFd", "cursor", "is none that this list made"),
    ],
)
def test_what_cannot_be_asked_is_a_problem_that_names_the_parameter(
    reader: Client, query: str, field: str, reason: str
) -> None:
    ((told, why),) = refusals(reader.get(f"{ROBOTS}?{query}"))

    assert told == field
    assert reason in why


def test_a_cursor_of_another_order_is_refused(reader: Client) -> None:
    for name in "ab":
        robot(name)
    following = reader.get(ROBOTS, {"limit": 1}).json()["next"]

    assert refusals(reader.get(f"{following}&order=-id")) == [("cursor", "belongs to the order 'id', not to '-id'")]


@pytest.mark.usefixtures("fleet")
def test_only_the_fields_that_were_asked_for_are_answered(reader: Client) -> None:
    listed = reader.get(ROBOTS, {"fields": "tags,id", "limit": 1}).json()["results"]

    assert listed == [{"id": "Lekiwi_1", "tags": ["arm", "lab"]}]
    assert reader.get(f"{ROBOTS}/lekiwi_1?fields=id,teleop").json().keys() == {"id", "teleop"}


class TestAnETag:
    def test_saves_the_answer_until_something_changes(self, reader: Client) -> None:
        robot()
        etag = reader.get(ROBOTS).headers["etag"]

        assert reader.get(ROBOTS, headers={"if-none-match": etag}).status_code == 304
        assert reader.get(ROBOTS, headers={"if-none-match": "*"}).status_code == 304
        Robot.objects.update(status="failed")
        changed = reader.get(ROBOTS, headers={"if-none-match": f'"else", {etag}'})
        assert (changed.status_code, changed.headers["etag"] == etag) == (200, False)

    def test_changes_when_a_robot_falls_silent_though_no_row_does(self, reader: Client) -> None:
        one = robot(interval_seconds=0.01)
        etag = reader.get(f"{ROBOTS}/{one.robot_id}").headers["etag"]
        page = reader.get(ROBOTS).headers["etag"]
        now = datetime.now(UTC)
        Robot.objects.filter(pk=one.pk).update(last_seen_at=now - timedelta(hours=1), first_seen_at=now - timedelta(1))

        assert reader.get(f"{ROBOTS}/{one.robot_id}", headers={"if-none-match": etag}).status_code == 200
        assert reader.get(ROBOTS, headers={"if-none-match": page}).status_code == 200

    def test_costs_one_query_and_no_rendering(self, reader: Client) -> None:
        for number in range(3):
            robot(f"r{number}")
        etag = reader.get(ROBOTS).headers["etag"]

        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert reader.get(ROBOTS, headers={"if-none-match": etag}).status_code == 304

        about_robots = [query["sql"] for query in asked if "heartbeat_robot" in query["sql"]]
        assert len(about_robots) == 1
        assert "payload" not in about_robots[0]

    def test_of_a_robot_is_kept_while_it_says_nothing(self, reader: Client) -> None:
        robot()
        path = f"{ROBOTS}/lekiwi_5a3f"
        etag = reader.get(path).headers["etag"]

        assert reader.get(path, headers={"if-none-match": etag}).status_code == 304


class TestCSV:
    def test_has_every_robot_and_the_columns_that_were_asked_for(
        self, reader: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("heartbeat.api.csv_text.ROWS_AT_ONCE", 2)
        for number in range(5):
            robot(f"r{number}", tags=["a", "b"])

        answer = reader.get(ROBOTS, {"fields": "id,tags,bucket"}, headers={"accept": "text/csv"})

        rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
        assert [one["id"] for one in rows] == [f"r{number}" for number in range(5)]
        assert rows[0]["tags"] == "a;b"
        assert answer.headers["content-disposition"] == 'attachment; filename="robots.csv"'

    def test_ends_where_the_limit_says(self, reader: Client) -> None:
        for name in "abc":
            robot(name)

        answer = reader.get(ROBOTS, {"fields": "id", "format": "csv", "limit": 2})

        assert answer.getvalue().decode().split() == ["id", "a", "b"]

    def test_of_nothing_still_names_its_columns(self, reader: Client) -> None:
        assert reader.get(ROBOTS, {"fields": "id,kind", "format": "csv"}).getvalue() == b"id,kind\r\n"

    def test_never_hands_a_spreadsheet_a_formula(self, reader: Client) -> None:
        robot("=HYPERLINK(1)")

        answer = reader.get(ROBOTS, {"fields": "id", "format": "csv"})

        assert answer.getvalue().decode().splitlines()[1] == "'=HYPERLINK(1)"

    def test_that_cannot_be_made_is_a_problem_in_json(self, reader: Client) -> None:
        answer = reader.get(f"{ROBOTS}?knid=xle", headers={"accept": "text/csv"})

        assert refusals(answer)[0][0] == "knid"

    def test_leaves_page_by_page_under_asgi(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("heartbeat.api.csv_text.ROWS_AT_ONCE", 1)
        robot("a")
        robot("b")
        client = AsyncClient()
        client.force_login(User.objects.create_user("reader"))

        async def parts() -> list[bytes]:
            answer = await client.get(ROBOTS, {"fields": "id", "format": "csv"})
            return [part async for part in answer.streaming_content]

        assert async_to_sync(parts)() == [b"id\r\n", b"a\r\n", b"b\r\n"]
