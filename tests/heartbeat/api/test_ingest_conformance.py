"""What ingest answers: the legacy contract as FastAPI describes it, and the robots' v2 calls as they are documented."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI

from heartbeat.api import robot_calls
from heartbeat.api.schema import document
from heartbeat.ingest.database import Database
from heartbeat.ingest.offers import Offers
from heartbeat.ingest.recorder import Recorder
from heartbeat.legacy_api.application import create_application
from heartbeat.legacy_api.store import Store
from teleop.rules.reading import read_operation
from tests.heartbeat.api.conforming import conform, labels, loaded
from tests.heartbeat.conftest import issue_token, marks
from tests.heartbeat.running import ingest


def contract() -> FastAPI:
    """The application for its description alone; nothing connects."""
    database = Database("postgres:///nowhere")
    store = Store(database, Path("/nowhere"))
    return create_application(Recorder("postgres:///nowhere"), Offers(database), store, read_operation)


LEGACY = contract().openapi()


@pytest.fixture(scope="module")
def address(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ingest(database_url, tmp_path_factory.mktemp("ingest")) as address:
        yield address


@pytest.fixture(scope="module")
def legacy() -> schemathesis.BaseSchema:
    return loaded(LEGACY)


@pytest.mark.parametrize("label", labels(LEGACY))
def test_the_legacy_contract_is_answered_as_it_is_described(
    legacy: schemathesis.BaseSchema, address: str, label: str
) -> None:
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=address, headers=marks())

    conform(legacy, label, ask)


#: a body that is fine by its schema may speak of another robot, a path may hold no token, a robot may call too often
ANOTHERS = {"positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 429]}}
#: a batch is taken whatever its items are: each is refused by itself
EACH_BY_ITSELF = {"negative_data_rejection": {"enabled": False}}

#: 1.0 is a whole number to JSON schema, and none to the decoder
NO_WHOLE_NUMBER = re.compile(r"Expected `int( \| null)?`, got `float`")


def robots_calls() -> dict[str, Any]:
    """The site's document with the robots' own calls alone, without the socket, which no plain request opens."""
    whole = document()
    mine = {
        path: calls
        for path, calls in whole["paths"].items()
        if path != "/ws/robot/" and any(robot_calls.TAG in one.get("tags", ()) for one in calls.values())
    }
    return {**whole, "paths": mine}


@pytest.fixture(scope="module")
def v2() -> schemathesis.BaseSchema:
    described = robots_calls()
    batch = {"/api/v2/heartbeats": EACH_BY_ITSELF}
    checks = [{"include-path": path, "checks": {**ANOTHERS, **batch.get(path, {})}} for path in described["paths"]]
    return loaded(described, checks)


@pytest.fixture(scope="module")
def token(address: str, database_url: str) -> str:
    return issue_token(database_url, "asked-by-its-document", "lkr_asked-by-its-document")


@pytest.mark.alone  # what is refused because the machine is busy (503) would be held against the document
@pytest.mark.parametrize("label", labels(robots_calls()))
def test_the_robots_calls_are_answered_as_they_are_documented(
    v2: schemathesis.BaseSchema, address: str, token: str, label: str
) -> None:
    def ask(case: schemathesis.Case) -> None:
        answer = case.call(base_url=address, headers={**marks(), "Authorization": f"Bearer {token}"})
        if answer.status_code != 422 or not NO_WHOLE_NUMBER.search(answer.text):
            case.validate_response(answer)

    conform(v2, label, ask)
