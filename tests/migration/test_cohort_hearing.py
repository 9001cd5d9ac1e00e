"""Heartbeats heard and expected in each cohort, from the log of what was acknowledged."""

from datetime import UTC, datetime, timedelta

import pytest

from heartbeat.models import Heartbeat, Spelling
from migration.cohort_hearing import heard_by_cohort
from tests.builders import heard_robot

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC).replace(microsecond=0)
LONG_AGO = NOW - timedelta(hours=1)


def robot(robot_id, *roles, side="legacy", seconds_ago=30, **changes):
    """One that speaks every 20 s, and a heartbeat of the latest minute for each of `roles`."""
    given = {"first_seen_at": LONG_AGO, "last_side": side, "interval_seconds": 20.0, "last_seen_at": NOW, **changes}
    heard = heard_robot(robot_id, **given)
    spelling = Spelling.objects.create(robot_id=robot_id, key=robot_id.encode(), robot_key=heard.key, first_at=LONG_AGO)
    for place, role in enumerate(roles):
        said = NOW - timedelta(seconds=seconds_ago, milliseconds=place)
        Heartbeat.objects.create(spelling=spelling, received_at=said, call="status", role=role, side=side)


def test_what_was_heard_stands_beside_what_was_expected_of_each_kind_and_site():
    robot("Lekiwi_1", "shadow", "shadow", "failover", site="A")
    robot("Lekiwi_2", "shadow", site="A")
    robot("XLE_1", "owner", "owner", "owner", "owner", side="new", kind_by_id="xle")
    robot("XLE_2", seconds_ago=200, side="new", kind_by_id="xle", last_seen_at=LONG_AGO)

    lekiwi, xle, site = heard_by_cohort(NOW)

    assert (lekiwi.cohort, lekiwi.robots, lekiwi.heard, lekiwi.expected) == ("kind lekiwi", 2, 4, 6)
    assert (lekiwi.failed_over, lekiwi.of_legacy, lekiwi.failed_percent) == (1, 4, 25.0)
    assert round(lekiwi.heard_percent, 1) == 66.7
    assert (xle.robots, xle.on_new, xle.heard, xle.expected) == (1, 1, 4, 3), "who was silent before is not expected"
    assert (xle.heard_percent, xle.failed_percent) == (100.0, None)
    assert (site.cohort, site.heard) == ("site A", 4)


def test_what_is_not_in_the_minute_is_not_counted():
    robot("Lekiwi_1", "shadow", seconds_ago=1)
    robot("Lekiwi_2", "shadow", seconds_ago=64)
    robot("Lekiwi_3", first_seen_at=NOW - timedelta(seconds=5))

    (lekiwi,) = heard_by_cohort(NOW)

    assert (lekiwi.robots, lekiwi.heard, lekiwi.expected) == (2, 0, 6)
