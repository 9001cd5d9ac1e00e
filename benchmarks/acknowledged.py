"""What robots were told that `new` had taken, by their ledger, and what of it the database holds."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from simulator.ledger import CHECK_UPDATE, STATUS

STORED_CALLS = {STATUS, CHECK_UPDATE}


@dataclass(frozen=True, slots=True)
class Taken:
    """A request that a robot was told `new` had taken."""

    sent: float
    told: float
    request_id: str


class Watched:
    """The end of the ledger, from now on."""

    def __init__(self, ledger: Path) -> None:
        self._file = ledger.open("rb")
        self._file.seek(0, 2)
        self._rest = b""
        self._latest = 0.0

    def latest_taken(self) -> float:
        """When the latest request that `new` acknowledged was sent."""
        lines = (self._rest + self._file.read()).split(b"\n")
        self._rest = lines.pop()
        self._latest = max([self._latest, *(one.sent for line in lines if (one := _taken(line)))])
        return self._latest


def taken(ledger: Path) -> Iterator[Taken]:
    """Every request in the ledger that `new` acknowledged, of all calls that are stored."""
    with ledger.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n") and (one := _taken(line)):
                yield one


def _taken(line: bytes) -> Taken | None:
    if not line.startswith(b'["request"'):
        return None
    match json.loads(line):
        case [_, _, wall, _, call, int(outcome), "new", str(request_id), latency_ms] if (
            call in STORED_CALLS and 200 <= outcome < 300
        ):
            return Taken(wall, wall + latency_ms / 1000, str(uuid.UUID(request_id)))
    return None


def stored(database_url: str) -> set[str]:
    """The ids of all requests in the log: the one place here that knows its columns."""
    with psycopg.connect(database_url) as connection:
        return {str(row[0]) for row in connection.execute("SELECT request_id FROM heartbeat_heartbeat")}
