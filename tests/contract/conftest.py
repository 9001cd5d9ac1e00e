"""One running process per system for the whole session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.systems import SYSTEMS, SystemUnderTest, simulated_legacy


@pytest.fixture(scope="session", params=list(SYSTEMS))
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemUnderTest]:
    directory: Path = tmp_path_factory.mktemp(request.param)
    with SYSTEMS[request.param](directory) as running:
        yield running


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemUnderTest]:
    """A simulated legacy server of its own: the measure for requests that nobody recorded."""
    with simulated_legacy(tmp_path_factory.mktemp("reference")) as running:
        yield running
