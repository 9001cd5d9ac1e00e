"""What ingest answers: the legacy contract as FastAPI describes it, and the v2 heartbeat as it is documented."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from fastapi import FastAPI

from heartbeat.ingest.database import Database
from heartbeat.ingest.offers import Offers
from heartbeat.ingest.recorder import Recorder
from heartbeat.legacy_api.application import create_application
from heartbeat.legacy_api.store import Store
from teleop.rules.reading import read_operation
from tests.heartbeat.api.conforming import conform, labels, loaded
from tests.heartbeat.conftest import marks
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
