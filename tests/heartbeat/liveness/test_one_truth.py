"""Lists and sums say what the watcher says; what it has not seen, or while nobody watches, is judged by silence."""

from datetime import timedelta

import pytest

from heartbeat.fleet import fleet_summary, liveness_of
from heartbeat.models import Lease, Robot, RobotLiveness
from heartbeat.rules.identity import key_of
from tests.heartbeat.liveness.world import T0, at

pytestmark = pytest.mark.django_db


def _robot(robot_id: str, silent_seconds: float, **columns: object) -> Robot:
    seen = at(-silent_seconds)
    return Robot.objects.create(
        key=key_of(robot_id), robot_id=robot_id, first_seen_at=seen, last_seen_at=seen, **columns
    )


def _watched(robot: Robot, state: str, progress_seconds_ago: float = 0) -> None:
    RobotLiveness.objects.create(robot_key=robot.key, robot_id=robot.robot_id, state=state, since=T0, number=1)
    renewed = at(-progress_seconds_ago)
    Lease.objects.update_or_create(
        name="watcher", defaults={"holder": "a", "term": 1, "until": renewed, "renewed_at": renewed}
    )


def test_the_watchers_word_counts_and_every_other_robot_is_judged_by_its_silence() -> None:
    excused, unseen = _robot("excused", 1000), _robot("unseen", 100)
    _watched(excused, "online")

    assert (liveness_of(excused, T0), liveness_of(unseen, T0)) == ("online", "late")
    assert fleet_summary(T0).by_liveness == {"online": 1, "late": 1, "offline": 0, "never": 0}


def test_the_word_of_a_watcher_that_stopped_is_history() -> None:
    robot = _robot("a", 1000)
    _watched(robot, "online", progress_seconds_ago=6)

    assert liveness_of(robot, T0) == "offline"


@pytest.mark.parametrize(
    ("silent_seconds", "expected"), [(15, "online"), (15.001, "late"), (20, "late"), (20.001, "offline")]
)
def test_without_a_watcher_an_operators_interval_and_grace_count_too(silent_seconds: float, expected: str) -> None:
    robot = _robot("a", silent_seconds, interval_seconds=3600, expected_interval_seconds=10, grace_seconds=5)

    assert liveness_of(robot, T0) == expected
    assert fleet_summary(T0 + timedelta(0)).by_liveness[expected] == 1
