from datetime import timedelta

import pytest
from django.test import Client

from tests.heartbeat.api.conftest import beat, robot

pytestmark = pytest.mark.django_db

PATH = "/api/v2/robots/lekiwi_5a3f/heartbeats"


def test_the_latest_heartbeats_come_newest_first(reader: Client) -> None:
    one = robot()
    for number in range(3):
        beat(one, number, health={"k\x00": "\ud83d"})
    beat(robot("other"), 0)

    listed = reader.get(PATH).json()["results"]

    assert [beat["status"] for beat in listed] == ["s2", "s1", "s0"]
    assert listed[0]["health"] == {"k\x00": "\ud83d"}


def test_a_span_holds_its_beginning_and_not_its_end(reader: Client) -> None:
    one = robot()
    for number in range(4):
        beat(one, number)
    span = {
        "from": (one.first_seen_at + timedelta(seconds=1)).isoformat(),
        "to": (one.first_seen_at + timedelta(seconds=3)).isoformat(),
    }

    listed = reader.get(PATH, {**span, "order": "received_at"}).json()["results"]

    assert [beat["status"] for beat in listed] == ["s1", "s2"]


def test_an_offset_may_have_lost_its_plus_on_the_way(reader: Client) -> None:
    robot()

    assert reader.get(f"{PATH}?from=2026-11-24T09:00:00+01:00").status_code == 200


def test_pages_of_a_history_meet_without_a_gap_while_heartbeats_arrive(reader: Client) -> None:
    one = robot()
    for number in range(5):
        beat(one, number)

    first = reader.get(PATH, {"limit": 2}).json()
    beat(one, 5)
    second = reader.get(first["next"]).json()
    third = reader.get(second["next"]).json()

    pages = [[beat["status"] for beat in page["results"]] for page in (first, second, third)]
    assert pages == [["s4", "s3"], ["s2", "s1"], ["s0"]]
    assert (first["previous"], third["next"]) == (None, None)
    assert reader.get(third["previous"]).json()["results"] == second["results"]
    assert [beat["status"] for beat in reader.get(second["previous"]).json()["results"]] == ["s4", "s3"]


def test_the_history_of_a_robot_that_nobody_knows_is_not_found(reader: Client) -> None:
    assert reader.get(PATH).status_code == 404


def test_a_history_leaves_as_csv_whole(reader: Client) -> None:
    one = robot()
    for number in range(3):
        beat(one, number, health={"services": {"teleop": "active"}})

    answer = reader.get(PATH, {"fields": "status,health", "format": "csv"})

    lines = answer.getvalue().decode().splitlines()
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert lines[:2] == ["status,health", 's2,"{""services"": {""teleop"": ""active""}}"']
    assert len(lines) == 4
