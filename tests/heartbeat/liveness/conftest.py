"""A world of the test's own time."""

from collections.abc import Iterator

import pytest

from tests.heartbeat.liveness.world import World


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.close()
