"""Requests that nobody recorded are answered alike by every system and by the simulated legacy server."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.comparing import Comparison, Difference
from tests.contract.more_requests import MORE_SCENARIOS, Scenario
from tests.contract.packages import Deployment, with_own_packages
from tests.contract.systems import BEHIND_A_PROXY, SYSTEMS, SystemUnderTest, ask
from tests.contract.wire import Answer, send

HEADERS = ("content-type", "allow", "location", "vary", "content-disposition", "accept-ranges", "content-range")
CORS_HEADERS = tuple(
    f"access-control-{name}"
    for name in ("allow-origin", "allow-methods", "allow-headers", "allow-credentials", "max-age")
)
WITH_PAGES_OF_THEIR_OWN = frozenset({"new-site"})


def concerns(name: str, scenario: Scenario) -> bool:
    """Does the scenario say anything about the system of this name?"""
    tidied_up = scenario.direct and name in BEHIND_A_PROXY
    return not tidied_up and not (scenario.outside and name in WITH_PAGES_OF_THEIR_OWN)


#: (system, scenario) → why it cannot be answered as legacy would; strict, so that a gap that closes is noticed
GAPS = {
    (
        "new-site",
        "content type 'multipart/form-data; boundary=x'",
    ): "daphne's Twisted refuses what is no multipart body",
    **{
        (door, scenario): reason
        for door in BEHIND_A_PROXY
        for scenario, reason in (
            ("id 'nul\\x00id'", "the door answers 400 to an escaped NUL in a path"),
            ("odd downloads", "the door answers 400 to an escaped NUL in a path"),
            ("id '..'", "the door resolves .. in a path"),
        )
    },
    ("door-new", "GET /health%2F"): "the door's list of operators' calls is compared before anything is decoded",
}


def pair(name: str, scenario: Scenario) -> Any:
    """The test's parameters; a known gap is expected to fail."""
    reason = GAPS.get((name, scenario.name))
    marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
    return pytest.param(name, scenario, id=f"{name}-{scenario.name}", marks=marks)


PAIRS = [pair(name, scenario) for name in SYSTEMS for scenario in MORE_SCENARIOS if concerns(name, scenario)]


def recorded_deployments() -> list[Deployment]:
    recorded = json.loads((Path(__file__).parent / "exchanges.json").read_text())
    return with_own_packages(next(scenario for scenario in recorded if scenario.get("deployments")))[1]


@pytest.mark.parametrize(("system", "scenario"), PAIRS, indirect=["system"])
def test_it_is_answered_as_legacy_would(
    system: SystemUnderTest, reference: SystemUnderTest, scenario: Scenario
) -> None:
    deployments = recorded_deployments() if scenario.deployed else []
    for one in (system, reference):
        one.reset(deployments)
    comparison = Comparison(known_ids=frozenset(deployment.row["id"] for deployment in deployments))

    for number, request in enumerate(scenario.steps, start=1):
        expected, actual = send(reference.base_url, request), ask(system, request)

        if expected.status >= 500 and not system.repeats_the_nan_fault:
            # Legacy falls over what it cannot write as JSON; nobody else may.
            assert actual.status < 500, f"step {number}: {actual.body!r}"
            continue
        try:
            compare(comparison, expected, actual)
        except Difference as difference:
            raise Difference(f"step {number}, {request.method} {request.path}: {difference}") from None


def compare(comparison: Comparison, expected: Answer, actual: Answer) -> None:
    """Raise `Difference` unless status, contract headers and body agree."""
    said = {"status": expected.status, "headers": {}}
    if expected.headers.get("content-type") == "application/json" and expected.body:
        said["json"] = json.loads(expected.body)
    elif "dep_" not in expected.headers.get("content-disposition", ""):
        said["text"] = expected.body.decode("latin-1")
    comparison.answer(said, actual)
    for name in (*HEADERS, *CORS_HEADERS):
        comparison.header(name, expected.headers.get(name), actual.headers.get(name))


def test_the_scenarios_have_names_of_their_own() -> None:
    names = [scenario.name for scenario in MORE_SCENARIOS]

    assert len(names) == len(set(names)) > 150
