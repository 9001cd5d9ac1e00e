"""The fleet's ledger: what each robot sent, what came back and from whom, and what was true when.

An append-only file of JSON arrays, one per line, written when a request has ended:

    ["request", sent_monotonic_s, sent_wall_s, robot_id, call, outcome, answered_by, request_id, latency_ms]
    ["said", said_monotonic_s, said_wall_s, robot_id, boot_id, sequence, outcome, way, latency_ms]
    ["truth", wall_s, robot_id, what, value]
    ["summary", wall_s, {…}]

`outcome` is the HTTP status, or the name of the error that the robot saw (`timeout`, `refused`, `reset`, …), or
`stopped` for a request that was still under way when the fleet was told to stop. A `said` is a v2 heartbeat once it is
settled, however many requests and frames that took: `acknowledged` (by `socket` or `http` to the new system, or by the
`legacy` call, which then has a `request` line as well), `refused`, `dropped` from a full buffer, or `stopped`. Wall
clocks are UTC epoch seconds of
this machine, not the robots' own (skewed) ones.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

STATUS, CHECK_UPDATE, DOWNLOAD = "status", "check-update", "download"
STOPPED = "stopped"
#: outcome of a v2 heartbeat, and the way that is not v2's
ACKNOWLEDGED, LEGACY_WAY = "acknowledged", "legacy"
FLUSH_SECONDS = 0.25


@dataclass(slots=True)
class Exchange:
    """One request as its robot saw it: when it left (monotonic and epoch seconds), and what came of it."""

    sent: float
    wall: float
    outcome: int | str = STOPPED
    answered_by: str | None = None
    request_id: str | None = None
    latency_ms: float = 0.0
    body: bytes = b""
    retry_after_seconds: float | None = None

    @property
    def succeeded(self) -> bool:
        """Did the robot get a 2xx?"""
        return isinstance(self.outcome, int) and 200 <= self.outcome < 300


@dataclass(frozen=True, slots=True)
class Said:
    """One v2 heartbeat and what became of it: said when (monotonic and epoch seconds), settled which way."""

    robot_id: str
    boot_id: str
    sequence: int
    made: float
    wall: float
    outcome: str
    way: str | None
    latency_ms: float


class LedgerWriter:
    """Appends lines; they reach the file within `FLUSH_SECONDS` while `flush_regularly` runs."""

    def __init__(self, path: Path | None) -> None:
        self._lines: list[str] = []
        self._file: TextIO | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
            self._end_a_torn_line(path)

    def request(self, robot_id: str, call: str, exchange: Exchange) -> None:
        """One request that has ended."""
        sent, wall = round(exchange.sent, 4), round(exchange.wall, 4)
        by, request_id = exchange.answered_by, exchange.request_id
        self._append(
            ["request", sent, wall, robot_id, call, exchange.outcome, by, request_id, round(exchange.latency_ms, 2)]
        )

    def said(self, said: Said) -> None:
        """One v2 heartbeat that is settled."""
        made, wall, latency = round(said.made, 4), round(said.wall, 4), round(said.latency_ms, 2)
        self._append(["said", made, wall, said.robot_id, said.boot_id, said.sequence, said.outcome, said.way, latency])

    def truth(self, robot_id: str, what: str, value: Any) -> None:
        """What became true of a robot just now: its kind, battery, teleoperation state, vanishing …"""
        self._append(["truth", round(time.time(), 4), robot_id, what, value])

    def summary(self, figures: dict[str, Any]) -> None:
        """The closing line; a ledger without one belongs to a fleet that runs or was killed."""
        self._append(["summary", round(time.time(), 4), figures])

    async def flush_regularly(self) -> None:
        """Write what has gathered, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.flush()

    def flush(self) -> None:
        """Write what has gathered."""
        lines, self._lines = self._lines, []
        if self._file is not None and lines:
            self._file.write("".join(lines))
            self._file.flush()

    def close(self) -> None:
        """Write the rest and close the file."""
        self.flush()
        if self._file is not None:
            self._file.close()

    def _append(self, line: list[Any]) -> None:
        if self._file is not None:
            self._lines.append(json.dumps(line, separators=(",", ":")) + "\n")

    def _end_a_torn_line(self, path: Path) -> None:
        # A fleet that was killed may have left half a line; the next one must not be glued to it.
        content_length = path.stat().st_size
        if content_length and self._file is not None:
            with path.open("rb") as written:
                written.seek(content_length - 1)
                if written.read(1) != b"\n":
                    self._file.write("\n")


@dataclass(slots=True)
class Tally:
    """What the robots saw of one call. A request that was under way at the end is sent, and neither of the others."""

    sent: int = 0
    acknowledged: int = 0
    failures: int = 0
    acknowledged_by: Counter[str] = field(default_factory=Counter)
    failed_with: Counter[str] = field(default_factory=Counter)
    request_ids: dict[str, set[str]] = field(default_factory=dict)

    def add(self, outcome: int | str, answered_by: str | None, request_id: str | None) -> None:
        """Count one request."""
        self.sent += 1
        if isinstance(outcome, int) and 200 <= outcome < 300:
            self.acknowledged += 1
            by = answered_by or "unnamed"
            self.acknowledged_by[by] += 1
            if request_id is not None:
                self.request_ids.setdefault(by, set()).add(request_id)
        elif outcome != STOPPED:
            self.failures += 1
            self.failed_with[str(outcome)] += 1

    @property
    def acknowledged_by_new(self) -> int:
        """Requests with a 2xx that named the new system."""
        return self.acknowledged_by["new"]

    @property
    def acknowledged_by_legacy(self) -> int:
        """Requests with a 2xx that named the legacy system."""
        return self.acknowledged_by["legacy"]


@dataclass(slots=True)
class V2Tally:
    """v2 heartbeats by what became of them. `stored_by_new` holds (boot_id, sequence) of what `new` acknowledged."""

    outcomes: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    stored_by_new: set[tuple[str, int]] = field(default_factory=set)

    def add(self, boot_id: str, sequence: int, outcome: str, way: str | None) -> None:
        """Count one."""
        self.outcomes[outcome] += 1
        if outcome == ACKNOWLEDGED and way is not None:
            self.ways[way] += 1
            if way != LEGACY_WAY:
                self.stored_by_new.add((boot_id, sequence))

    @property
    def acknowledged(self) -> int:
        """Those that somebody acknowledged."""
        return self.outcomes[ACKNOWLEDGED]


@dataclass(slots=True)
class Ledger:
    """Counts of a ledger so far. `by_robot` maps an id to its heartbeats' tally, without request ids."""

    calls: dict[str, Tally] = field(default_factory=dict)
    by_robot: dict[str, Tally] = field(default_factory=dict)
    v2: V2Tally = field(default_factory=V2Tally)
    summary: dict[str, Any] | None = None
    # Lines that end with a newline and still are not ours: 0 unless something else wrote into the file.
    unreadable: int = 0

    @property
    def heartbeats(self) -> Tally:
        """`POST /api/robot/status`."""
        return self.calls.setdefault(STATUS, Tally())

    @property
    def update_checks(self) -> Tally:
        """`GET /api/check-update`."""
        return self.calls.setdefault(CHECK_UPDATE, Tally())

    @property
    def sent(self) -> int:
        """Requests of all calls."""
        return sum(tally.sent for tally in self.calls.values())

    @property
    def acknowledged(self) -> int:
        """Requests of all calls that got a 2xx."""
        return sum(tally.acknowledged for tally in self.calls.values())

    @property
    def acknowledged_by_new(self) -> int:
        """Requests of all calls that got a 2xx from the new system."""
        return sum(tally.acknowledged_by_new for tally in self.calls.values())

    @property
    def failures(self) -> int:
        """Requests of all calls that a robot saw fail: no answer in time, no connection, or not a 2xx."""
        return sum(tally.failures for tally in self.calls.values())

    def request_ids(self, answered_by: str, call: str = STATUS) -> frozenset[str]:
        """Ids of the requests that `answered_by` acknowledged."""
        return frozenset(self.calls.get(call, Tally()).request_ids.get(answered_by, ()))


class LedgerReader:
    """Reads a ledger that may still be written; each `update` reads only what is new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = Ledger()
        self._offset = 0

    def update(self) -> Ledger:
        """Read on, up to the last whole line, and return the counts so far."""
        for line in self._new_lines():
            match line:
                case ["request", _, _, str(robot), str(call), outcome, answered_by, request_id, _]:
                    self.ledger.calls.setdefault(call, Tally()).add(outcome, answered_by, request_id)
                    if call == STATUS:
                        self.ledger.by_robot.setdefault(robot, Tally()).add(outcome, answered_by, None)
                case ["said", _, _, str(robot), str(boot_id), int(sequence), str(outcome), way, _]:
                    self.ledger.v2.add(boot_id, sequence, outcome, way)
                    self.ledger.by_robot.setdefault(robot, Tally())
                case ["summary", _, dict(figures)]:
                    self.ledger.summary = figures
                case ["truth", *_]:
                    pass
                case _:
                    self.ledger.unreadable += 1
        return self.ledger

    def _new_lines(self) -> Iterator[Any]:
        with self.path.open("rb") as file:
            file.seek(self._offset)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return  # torn: its rest is still on the way
                self._offset += len(raw)
                try:
                    yield json.loads(raw)
                except ValueError:
                    yield None


def read_ledger(path: Path) -> Ledger:
    """The counts of the ledger at `path`, as far as it is written."""
    return LedgerReader(path).update()


def read_truths(path: Path) -> Iterator[tuple[float, str, str, Any]]:
    """(wall_s, robot_id, what, value) of every truth line, in the order they became true."""
    with path.open("rb") as file:
        for raw in file:
            if raw.startswith(b'["truth",') and raw.endswith(b"\n"):
                _, wall, robot_id, what, value = json.loads(raw)
                yield wall, robot_id, what, value
