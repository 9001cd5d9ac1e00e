"""What operators set of robots: one by PATCH, many by JSON or CSV."""

from typing import Any

import pytest
from django.test import Client

from heartbeat.models import Robot
from heartbeat.rules.identity import bucket_of
from migration.models import AuditEntry
from tests.heartbeat.api.conftest import enrolled, robot

pytestmark = pytest.mark.django_db

ROBOTS = "/api/v2/robots"
ONE = f"{ROBOTS}/lekiwi_5a3f"
JSON = "application/json"


def faults(answer: Any) -> list[dict[str, Any]]:
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), answer.content
    return answer.json()["errors"]


class TestOneRobot:
    def test_is_set_and_the_audit_log_says_by_whom(self, operator: Client) -> None:
        robot(tags=["old"], grace_seconds=3)

        answer = operator.patch(ONE, {"tags": ["lab", "arm"], "expected_interval_seconds": 5}, JSON)

        assert answer.status_code == 200
        told = answer.json()
        assert (told["tags"], told["expected_interval_seconds"], told["grace_seconds"]) == (["arm", "lab"], 5.0, 3.0)
        entry = AuditEntry.objects.get()
        assert (entry.actor, entry.action) == ("operator", "set_robot")
        assert entry.detail["before"]["tags"] == ["old"]

    def test_goes_back_to_what_the_robot_says_with_null(self, operator: Client) -> None:
        robot(expected_interval_seconds=5)

        assert (
            operator.patch(ONE, {"expected_interval_seconds": None}, JSON).json()["expected_interval_seconds"] is None
        )

    def test_is_not_set_by_who_may_only_read(self, reader: Client) -> None:
        robot()

        answer = reader.patch(ONE, {"tags": ["lab"]}, JSON)

        assert (answer.status_code, answer.json()["detail"]) == (
            403,
            "this needs the permission heartbeat.change_robot",
        )

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"tag": ["lab"]}, "tag"),
            ({"kind": "xle"}, "kind"),
            ({"tags": "lab"}, "tags"),
            ({"tags": ["Upper case"]}, "tags[0]"),
            ({"tags": ["a\x00"]}, "tags[0]"),
            ({"tags": [f"t{number}" for number in range(33)]}, "tags"),
            ({"expected_interval_seconds": 0}, "expected_interval_seconds"),
            ({"expected_interval_seconds": True}, "expected_interval_seconds"),
            ({"expected_interval_seconds": "nan"}, "expected_interval_seconds"),
            ({"grace_seconds": -1}, "grace_seconds"),
            ({"grace_seconds": 1e300}, "grace_seconds"),
            ([], ""),
            (None, ""),
        ],
    )
    def test_is_not_set_to_what_makes_no_sense(self, operator: Client, body: Any, field: str) -> None:
        robot()

        assert [fault["field"] for fault in faults(operator.patch(ONE, body, JSON))] == [field]
        assert not AuditEntry.objects.exists()

    def test_is_not_set_over_what_somebody_else_set_meanwhile(self, operator: Client) -> None:
        robot()
        seen = operator.get(ONE).headers["etag"]
        operator.patch(ONE, {"tags": ["first"]}, JSON)

        answer = operator.patch(ONE, {"tags": ["second"]}, JSON, headers={"if-match": seen})

        assert (answer.status_code, answer.headers["content-type"]) == (412, "application/problem+json")
        assert Robot.objects.get().tags == ["first"]

    def test_may_be_set_though_it_has_spoken_meanwhile(self, operator: Client) -> None:
        robot()
        seen = operator.get(ONE).headers["etag"]
        Robot.objects.update(status="failed")

        answer = operator.patch(ONE, {"tags": ["lab"]}, JSON, headers={"if-match": seen})

        assert answer.status_code == 200
        assert operator.patch(ONE, {"tags": []}, JSON, headers={"if-match": answer.headers["etag"]}).status_code == 200
        assert operator.patch(ONE, {"tags": ["x"]}, JSON, headers={"if-match": "*"}).status_code == 200


class TestManyRobots:
    def post(self, client: Client, text: str) -> Any:
        return client.post(ROBOTS, text, content_type="text/csv")

    def test_are_entered_as_csv_known_or_not(self, operator: Client) -> None:
        robot("Lekiwi_1", tags=["old"], grace_seconds=9)

        answer = self.post(operator, "id,tags,expected_interval_seconds\nLEKIWI_1,lab;arm,5\nXLE_new,,\n")

        assert (answer.status_code, answer.json()) == (200, {"created": 1, "updated": 1})
        known, new = Robot.objects.order_by("key")
        assert (known.robot_id, known.tags, known.expected_interval_seconds) == ("Lekiwi_1", ["arm", "lab"], 5.0)
        assert known.grace_seconds == 9.0
        assert (new.robot_id, new.kind, new.bucket, new.tags) == ("XLE_new", "xle", bucket_of("XLE_new"), [])
        assert operator.get(f"{ROBOTS}/xle_new").json()["liveness"] == "never"
        assert AuditEntry.objects.get().detail["created"] == 1

    def test_are_entered_as_json(self, operator: Client) -> None:
        answer = operator.post(ROBOTS, [{"id": "a", "site": "Kyoto"}, {"id": "b", "site": ""}], JSON)

        assert answer.json() == {"created": 2, "updated": 0}
        assert operator.get(f"{ROBOTS}/a").json()["site"] == "Kyoto"

    def test_may_each_be_told_something_else(self, operator: Client) -> None:
        robot("z", grace_seconds=1)

        answer = operator.post(ROBOTS, [{"id": "z", "tags": ["lab"]}, {"id": "a", "grace_seconds": 2}], JSON)

        assert answer.json() == {"created": 1, "updated": 1}
        told = Robot.objects.order_by("key").values_list("robot_id", "tags", "grace_seconds")
        assert list(told) == [("a", [], 2.0), ("z", ["lab"], 1.0)]

    def test_come_back_as_they_left(self, operator: Client) -> None:
        robot("a", tags=["lab"], expected_interval_seconds=2.5)
        enrolled("-b")
        columns = "id,tags,site,expected_interval_seconds,grace_seconds"
        left = operator.get(ROBOTS, {"fields": columns, "format": "csv"}).getvalue().decode()

        assert self.post(operator, left).json() == {"created": 0, "updated": 2}
        assert operator.get(ROBOTS, {"fields": columns, "format": "csv"}).getvalue().decode() == left

    def test_are_all_refused_when_one_row_is_wrong_and_every_fault_is_named(self, operator: Client) -> None:
        text = "id,tags,grace_seconds\nok,lab,1\nb,Lab,soon\n\nOK,,\n,x,1\n"

        told = [(fault["row"], fault["field"]) for fault in faults(self.post(operator, text))]

        assert told == [(3, "tags[0]"), (3, "grace_seconds"), (5, "id"), (6, "id")]
        assert not Robot.objects.exists()

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("\n", "the first line must name the columns"),
            ("id,id\na,b\n", "the first line must name the columns, each once"),
            ("id,tags\na\n", "line 2 has 1 cells, the header has 2"),
            ('id\n"a\n', "is not CSV"),
            ("id,colour\na,red\n", "colour: is not a column"),
            ("tags\nlab\n", "id: is needed as a column"),
            ("id\n" + "x" * 129 + "\n", "over 128 bytes"),
            ("id\na\x00b\n", "it holds control characters"),
        ],
    )
    def test_are_refused_when_the_text_is_no_table_of_robots(self, operator: Client, text: str, reason: str) -> None:
        answer = self.post(operator, text)

        assert faults(answer)
        assert reason in str(answer.json()), answer.json()

    def test_are_refused_when_it_is_not_utf8(self, operator: Client) -> None:
        answer = operator.post(ROBOTS, b"id\n\xff\n", content_type="text/csv")

        assert faults(answer)[0]["reason"] == "the CSV is not UTF-8: byte 3"

    def test_are_refused_when_there_are_too_many(self, operator: Client) -> None:
        assert "at most 10000" in faults(self.post(operator, "id\n" + "x\n" * 10_001))[0]["reason"]
        assert self.post(operator, "id\n" + "x" * 3_000_000).status_code == 413

    def test_are_not_entered_by_who_may_only_read(self, reader: Client) -> None:
        assert self.post(reader, "id\na\n").status_code == 403
