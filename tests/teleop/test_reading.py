from typing import Any

import pytest

from teleop.rules.reading import Host, read_operation


@pytest.mark.parametrize(("service", "host"), [("active", Host.UP), ("inactive", Host.DOWN), ("unknown", Host.UNKNOWN)])
def test_a_running_service_says_nothing_about_an_operator(service: str, host: Host) -> None:
    report = read_operation({"services": {"teleop": service}})

    assert report.host == host
    assert report.operated is None


@pytest.mark.parametrize(
    ("signals", "operated"),
    [
        ({"command_age_ms": 36, "command_rate_hz": 30}, True),
        ({"command_age_ms": 500}, True),
        ({"command_age_ms": 740}, False),
        ({"command_age_ms": 740, "command_rate_hz": 30}, False),
        ({"command_rate_hz": 29.5}, True),
        ({"command_rate_hz": 0}, False),
        ({"watchdog_active": True}, False),
        ({"watchdog_active": False}, True),
        ({"host_up": False}, False),
        ({"host_up": False, "command_age_ms": 20}, False),
        ({"observers": 1}, None),
        ({}, None),
    ],
)
def test_commands_tell_whether_somebody_drives(signals: dict[str, Any], operated: bool | None) -> None:
    assert read_operation(None, {"teleop": signals}).operated is operated


def test_v2_knows_better_than_the_service_whether_the_host_runs() -> None:
    report = read_operation({"services": {"teleop": "active"}}, {"teleop": {"host_up": False}})

    assert report.host == Host.DOWN


@pytest.mark.parametrize(
    ("health", "payload"),
    [
        (None, None),
        ("offline", None),
        ([], []),
        ({"services": None}, {"teleop": None}),
        ({"services": ["teleop"]}, {"teleop": "on"}),
        ({"services": {"teleop": 1}}, {"teleop": {"command_age_ms": "36", "watchdog_active": 1, "host_up": "yes"}}),
    ],
)
def test_what_has_no_known_shape_says_nothing(health: Any, payload: Any) -> None:
    report = read_operation(health, payload)

    assert (report.host, report.operated) == (Host.UNKNOWN, None)
    assert report.evidence
