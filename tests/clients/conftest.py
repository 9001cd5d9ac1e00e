"""The robots' client is a package of its own, which is not installed here."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "clients" / "python"
if str(PACKAGE) not in sys.path:
    sys.path.insert(0, str(PACKAGE))

from tests.clients.stand_in import StandIn  # noqa: E402


@pytest.fixture
def door() -> Iterator[StandIn]:
    """A door that takes everything, until told otherwise."""
    with StandIn().serving() as serving:
        yield serving


def until(holds: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Ask until it is true."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
