"""One running process per system for the whole session."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.contract.systems import SYSTEMS, SystemUnderTest, simulated_legacy


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], SystemUnderTest]]:
    """Starts a system when it is first asked for by name; all of them stop at the end."""
    started: dict[str, SystemUnderTest] = {}
    with contextlib.ExitStack() as stack:

        def start(name: str) -> SystemUnderTest:
            if name not in started:
                started[name] = stack.enter_context(SYSTEMS[name](tmp_path_factory.mktemp(name)))
            return started[name]

        yield start


@pytest.fixture(params=list(SYSTEMS))
def system(request: pytest.FixtureRequest, running: Callable[[str], SystemUnderTest]) -> SystemUnderTest:
    return running(request.param)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemUnderTest]:
    """A simulated legacy server of its own: the measure for requests that nobody recorded."""
    with simulated_legacy(tmp_path_factory.mktemp("reference")) as running:
        yield running
