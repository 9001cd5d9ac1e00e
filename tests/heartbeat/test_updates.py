from datetime import datetime
from typing import Any

import pytest

from heartbeat.rules.updates import UnreadableTime, Wish, offered, rollback_target, rolled_back, update_answer

NOW = datetime(2025, 1, 30, 12, 0)


def deployment(
    name: str, timestamp: str, version: str = "v1", group: str = "all", status: str = "ready"
) -> dict[str, Any]:
    return {
        "id": f"dep_{name}",
        "version": version,
        "target_group": group,
        "status": status,
        "timestamp": timestamp,
        "checksum": "c",
    }


OLD = deployment("old", "2025-01-01T00:00:00", "v1")
NEW = deployment("new", "2025-01-20T00:00:00", "v2")
XLE = deployment("xle", "2025-01-25T00:00:00", "v3", group="xle")
BUILDING = deployment("building", "2025-01-28T00:00:00", "v4", status="building")
ALL = [OLD, NEW, XLE, BUILDING]


def test_the_latest_ready_one_for_the_group_is_offered() -> None:
    assert offered(ALL, "all") == NEW
    assert offered(ALL, "xle") == XLE
    assert offered(ALL, "nobody") == NEW
    assert offered([BUILDING], "all") is None


def test_of_equal_times_the_first_is_offered() -> None:
    twin = deployment("twin", NEW["timestamp"], "v9")

    assert offered([NEW, twin], "all") == NEW


def test_who_has_the_version_is_offered_nothing() -> None:
    assert update_answer(ALL, "all", "v2") == {"update_available": False}
    assert update_answer(ALL, "all", "v1")["deployment_id"] == "dep_new"


@pytest.mark.parametrize(
    ("wish", "target"),
    [
        (Wish(deployment_id="dep_old"), OLD),
        (Wish(deployment_id="dep_old", version="v2"), OLD),
        (Wish(deployment_id="", version="v2"), NEW),
        (Wish(version="v4"), BUILDING),
        (Wish(time_ago="2-hours-ago"), BUILDING),
        (Wish(time_ago="6-days-ago"), NEW),
        (Wish(time_ago="2-weeks-ago"), BUILDING),
        (Wish(time_ago="900-days-ago"), None),
        (Wish(deployment_id="none"), None),
        (Wish(), None),
    ],
)
def test_a_rollback_goes_back_to(wish: Wish, target: dict[str, Any] | None) -> None:
    assert rollback_target(ALL, wish, NOW) == target


@pytest.mark.parametrize("time_ago", ["yesterday", "2", "x-hours-ago", "-1-hours-ago", "99999999999-days-ago"])
def test_a_time_that_legacy_cannot_read(time_ago: str) -> None:
    with pytest.raises(UnreadableTime):
        rollback_target(ALL, Wish(time_ago=time_ago), NOW)


def test_what_a_rollback_makes_is_newer_than_all_and_has_the_old_version() -> None:
    made = rolled_back(OLD, BUILDING, "dep_made", NOW)

    assert made["rollback_from"] == "dep_building"
    assert update_answer([*ALL, made], "all", "v2")["version"] == "v1"
