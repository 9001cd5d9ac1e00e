"""The fleet is followed by reading what was written, and what time does to a silent robot needs no reading."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from dashboard.tracking import FleetTracker
from heartbeat.models import Robot, RobotLiveness
from tests.builders import heard_robot


def by_id(tracker: FleetTracker, **later: float) -> dict[str, Any]:
    return {line.id: line for line in tracker.look(timezone.now() + timedelta(**later)).lines}


@pytest.mark.django_db
def test_what_was_written_since_the_last_look_is_seen_and_the_rest_stays(django_assert_num_queries):
    heard_robot("Lekiwi_1")
    heard_robot("Lekiwi_2")
    tracker = FleetTracker()
    first = tracker.look()

    Robot.objects.filter(robot_id="Lekiwi_2").update(status="updating", battery_percent=41.4)
    with django_assert_num_queries(1):
        second = tracker.look()

    assert [line.status for line in first.lines] == ["idle", "idle"]
    assert {line.id: (line.status, line.battery) for line in second.lines} == {
        "Lekiwi_1": ("idle", None),
        "Lekiwi_2": ("updating", 41),
    }


@pytest.mark.django_db
def test_new_robots_come_last_and_deleted_ones_are_gone():
    heard_robot("Lekiwi_5")
    tracker = FleetTracker()
    tracker.look()

    for number in (1, 2):
        heard_robot(f"Lekiwi_{number}")
    assert next(iter(by_id(tracker))) == "Lekiwi_5"
    Robot.objects.filter(robot_id="Lekiwi_1").delete()

    assert set(by_id(tracker)) == {"Lekiwi_2", "Lekiwi_5"}


@pytest.mark.django_db
def test_a_robot_that_stays_silent_becomes_late_and_offline_without_being_read_again():
    heard_robot("Lekiwi_1", interval_seconds=10)
    tracker = FleetTracker()

    states = [by_id(tracker, seconds=passed)["Lekiwi_1"].liveness for passed in (0, 15, 25, 60)]

    assert states == ["online", "online", "late", "offline"]


@pytest.mark.django_db
def test_how_long_ago_it_was_heard_travels_only_for_a_robot_that_is_not_online():
    robot = heard_robot("Lekiwi_1", interval_seconds=10)
    tracker = FleetTracker()

    online, offline = by_id(tracker)["Lekiwi_1"], by_id(tracker, seconds=60)["Lekiwi_1"]

    assert online.silent_since is None
    assert offline.silent_since == int(robot.last_seen_at.timestamp())


@pytest.mark.django_db
def test_a_robot_that_was_entered_and_never_heard_is_listed_as_such():
    Robot.objects.create(key=b"xle_9", robot_id="XLE_9", enrolled_at=timezone.now())

    line = FleetTracker().look().lines[0]

    assert (line.liveness, line.mark, line.silent_since) == ("never", "never", None)


@pytest.mark.django_db
def test_what_operators_expect_wins_over_what_the_robot_says():
    heard_robot("Lekiwi_1", interval_seconds=10, expected_interval_seconds=100)

    assert by_id(FleetTracker(), seconds=60)["Lekiwi_1"].liveness == "online"


@pytest.mark.django_db
def test_json_that_jsonb_could_not_hold_does_not_end_the_looking():
    heard_robot("Lekiwi_1", health={"note": "a\x00b", "services": {"teleop": "active"}})

    assert by_id(FleetTracker())["Lekiwi_1"].operation == "host up, driver unknown"


def watched(robot: Robot, state: str) -> None:
    """What the watcher keeps of a robot."""
    facts = {"robot_id": robot.robot_id, "state": state, "since": timezone.now(), "number": 1}
    RobotLiveness.objects.update_or_create(robot_key=robot.key, defaults=facts)


@pytest.mark.django_db
def test_where_a_watcher_keeps_liveness_its_word_counts():
    one, other = heard_robot("Lekiwi_1"), heard_robot("Lekiwi_2")
    watched(one, "late")
    tracker = FleetTracker()
    assert {name: line.liveness for name, line in by_id(tracker).items()} == {"Lekiwi_1": "late", "Lekiwi_2": "online"}

    watched(one, "online")
    watched(other, "offline")

    assert {name: line.mark for name, line in by_id(tracker).items()} == {"Lekiwi_1": "online", "Lekiwi_2": "silent"}


def test_a_row_that_was_written_before_a_look_and_committed_after_it_is_not_missed(committed_db):
    """By the time in the row it would be older than the look, which a look by time would take for known."""
    heard_robot("Lekiwi_1")
    tracker = FleetTracker()
    written, looked = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            Robot.objects.filter(robot_id="Lekiwi_1").update(status="updating")
            written.set()
            looked.wait(20)
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    written.wait(20)
    during = by_id(tracker)["Lekiwi_1"].status
    looked.set()
    writer.join(20)

    assert during == "idle"
    assert by_id(tracker)["Lekiwi_1"].status == "updating"
