"""What robots were told that `new` had taken, by their ledger, and what of it the database holds."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from simulator.ledger import ACKNOWLEDGED, CHECK_UPDATE, LEGACY_WAY, STATUS

STORED_CALLS = {STATUS, CHECK_UPDATE}
#: what is looked for: a legacy call's request id, a v2 heartbeat's run and number
Identity = str | tuple[str, int]


@dataclass(frozen=True, slots=True)
class Taken:
    """A call or v2 heartbeat that a robot was told `new` had taken. Unix times."""

    sent: float
    told: float
    identity: Identity

    @property
    def v2(self) -> bool:
        """Whether it was a v2 heartbeat."""
        return isinstance(self.identity, tuple)


class Watched:
    """The end of the ledger, from now on."""

    def __init__(self, ledger: Path) -> None:
        self._file = ledger.open("rb")
        self._file.seek(0, 2)
        self._rest = b""
        self._latest = 0.0

    def latest_taken(self) -> float:
        """When the latest of what `new` acknowledged was sent."""
        lines = (self._rest + self._file.read()).split(b"\n")
        self._rest = lines.pop()
        self._latest = max([self._latest, *(one.sent for line in lines if (one := _taken(line)))])
        return self._latest


def taken(ledger: Path) -> Iterator[Taken]:
    """Everything in the ledger that `new` acknowledged, of all calls that are stored."""
    with ledger.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n") and (one := _taken(line)):
                yield one


def _taken(line: bytes) -> Taken | None:
    if not line.startswith((b'["request"', b'["said"')):
        return None
    match json.loads(line):
        case [_, _, wall, _, call, int(outcome), "new", str(request_id), latency_ms] if (
            call in STORED_CALLS and 200 <= outcome < 300
        ):
            return Taken(wall, wall + latency_ms / 1000, str(uuid.UUID(request_id)))
        case ["said", _, wall, _, str(boot_id), int(sequence), str(outcome), way, latency_ms] if (
            outcome == ACKNOWLEDGED and way != LEGACY_WAY
        ):
            return Taken(wall, wall + latency_ms / 1000, (boot_id, sequence))
    return None


def stored(database_url: str) -> set[Identity]:
    """What the log holds, by what it is looked for: the one place here that knows its columns."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT request_id, boot_id, sequence FROM heartbeat_history")
        return {str(request_id) if sequence is None else (boot_id, sequence) for request_id, boot_id, sequence in rows}
