"""Every recorded exchange, replayed against every system that claims to speak legacy."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.contract.comparing import Comparison, Difference
from tests.contract.packages import package_of, with_own_packages
from tests.contract.systems import SystemUnderTest, ask
from tests.contract.wire import Answer, Request

SCENARIOS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "exchanges.json").read_text())
NAN_READS = "NaN in health, then reads"


def test_the_recording_is_whole() -> None:
    assert len(SCENARIOS) == 47
    assert sum(len(scenario["steps"]) for scenario in SCENARIOS) == 100


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario["name"] for scenario in SCENARIOS])
def test_a_recorded_scenario_is_answered_as_legacy_did(system: SystemUnderTest, scenario: dict[str, Any]) -> None:
    scenario, deployments = with_own_packages(scenario)
    system.reset(deployments)
    comparison = Comparison(known_ids=frozenset(deployment.row["id"] for deployment in deployments))

    for number, step in enumerate(scenario["steps"], start=1):
        answer = ask(system, Request.recorded(step["request"]))

        expected = _without_the_nan_fault(scenario["name"], number, step["response"], system)
        try:
            comparison.answer(expected, answer)
        except Difference as difference:
            raise Difference(
                f"step {number}, {step['request']['method']} {step['request']['path']}: {difference}"
            ) from None


def test_a_package_has_the_recorded_length_and_two_versions_differ() -> None:
    assert len(package_of("v1.1.0")) == 804
    assert package_of("v1.1.0") != package_of("v1.2.0")


def _without_the_nan_fault(name: str, step: int, recorded: dict[str, Any], system: SystemUnderTest) -> dict[str, Any]:
    """What a system that stores NaN as null must answer where legacy answered 500."""
    if system.repeats_the_nan_fault or name != NAN_READS or recorded["status"] != 500:
        return recorded
    row = {
        "robot_id": "nan1",
        "deployment_id": None,
        "version": None,
        "status": "idle",
        "message": None,
        "health": {"v": None},
        "last_seen": "2026-11-24T00:00:00.000000",
    }
    if step == 2:
        return {"status": 200, "headers": {"content-type": "application/json"}, "json": row}
    posted = next(scenario for scenario in SCENARIOS if scenario["name"] == NAN_READS)["steps"][2]["request"]["json"]
    fine = {**posted, "last_seen": row["last_seen"]}
    return {"status": 200, "headers": {"content-type": "application/json"}, "json": [row, fine]}


class TestTheComparisonNotices:
    """A comparison that cannot fail proves nothing."""

    EXPECTED: dict[str, Any] = {
        "status": 200,
        "headers": {"content-type": "application/json"},
        "json": [{"robot_id": "a", "last_seen": "2026-11-24T07:48:19.951217"}],
    }

    @pytest.mark.parametrize(
        ("status", "content_type", "body", "word"),
        [
            (201, "application/json", b"[]", "status"),
            (200, "application/json; charset=utf-8", b"[]", "content-type"),
            (200, "application/json", b"[]", "length"),
            (200, "application/json", b'[{"last_seen":"NOW","robot_id":"a"}]', "keys in order"),
            (200, "application/json", b'[{"robot_id":"b","last_seen":"NOW"}]', "robot_id"),
            (200, "application/json", b'[{"robot_id":"a","last_seen":"2026-11-24T07:48:19.951217"}]', "last_seen"),
            (200, "application/json", b'[{"robot_id":"a","last_seen":"NOWZ"}]', "last_seen"),
            (200, "application/json", b"oops", "JSON"),
        ],
    )
    def test_a_different(self, status: int, content_type: str, body: bytes, word: str) -> None:
        sent = body.replace(b"NOW", datetime.now().isoformat().encode())

        with pytest.raises(Difference, match=word):
            Comparison().answer(self.EXPECTED, Answer(status, {"content-type": content_type}, sent))

    def test_a_rollback_id_that_changes_between_two_answers(self) -> None:
        comparison = Comparison(known_ids=frozenset({"dep_aaaaaaaaaaaa"}))
        comparison.value("body", {"deployment_id": "dep_000000000001"}, {"deployment_id": "dep_00000000000a"})

        with pytest.raises(Difference, match="download_url"):
            comparison.value(
                "body",
                {"download_url": "/api/download/dep_000000000001"},
                {"download_url": "/api/download/dep_00000000000b"},
            )
