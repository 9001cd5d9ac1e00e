from datetime import UTC, datetime, timedelta

import pytest

from heartbeat.rules.liveness import Liveness, liveness

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("silent_seconds", "expected"),
    [
        (0, Liveness.ONLINE),
        (61, Liveness.ONLINE),
        (61.001, Liveness.LATE),
        (152, Liveness.LATE),
        (152.001, Liveness.OFFLINE),
        (-3600, Liveness.ONLINE),
    ],
)
def test_a_robot_that_speaks_every_30_s(silent_seconds: float, expected: Liveness) -> None:
    assert liveness(NOW - timedelta(seconds=silent_seconds), 30, NOW) == expected


def test_a_robot_that_speaks_every_second_is_judged_by_its_own_interval() -> None:
    assert liveness(NOW - timedelta(seconds=8), 1, NOW) == Liveness.OFFLINE
