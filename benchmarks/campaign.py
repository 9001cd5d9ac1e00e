"""Every fault at every phase: `python -m benchmarks.campaign [--phases …] [--faults …] [--json FILE]`.

A whole system runs, watchdog included, and robots speak through its door, a fifth of them v2. In each phase each fault
is caused and lifted; then the system must become whole by itself: every process, guard and lag, the way back, and every
row of both systems. Afterwards each acknowledged heartbeat is looked for in the database.
Baseline in the same run: the same robots without the door, calling one system, under the same faults.
"""

import argparse
import json
import signal
import sys
import time
import uuid
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks import reporting
from benchmarks.acknowledged import stored, taken
from benchmarks.campaign_faults import FAULTS, HELD_SECONDS
from benchmarks.campaign_world import World, where
from benchmarks.faults import called_offline, poll
from benchmarks.rollback import reach
from benchmarks.shift import Robots
from embedded.stack import fleet, running
from simulator.autopilot.crew import Crew
from simulator.ledger import STATUS, STOPPED

ROBOTS = 100
V2_SHARE = "0.2"
PHASES = ("preparation", "shadow", "canary_10", "rollout_25", "rollout_50", "full_100", "decommission")
WHOLE_SECONDS = 60.0
MINUTES = 60.0
#: where only one system may answer, its end is what robots see; the door cannot help
UNHELPED = {("preparation", "legacy-down")}
#: the fault, and who robots without the door call
BASELINES = (("legacy-down", "LEGACY_PORT"), *((name, "INGEST_PORT") for name in ("new-down", "new-slow")))


@dataclass(slots=True)
class Cell:
    """One fault in one phase. Times are Unix times; `whole_s` counts from when the cause was lifted."""

    phase: str
    fault: str
    began: float
    calls: int = 0
    failed: int = 0
    acknowledged_by_new: int = 0
    lost: int = 0
    legacy_alone: int = 0
    whole_s: float | None = None
    then: str = ""
    remark: str = ""
    wanting: list[str] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def is_held(self) -> bool:
        """Whether robots saw nothing, nothing is lost and all is whole again."""
        seen = self.failed and (self.phase, self.fault) not in UNHELPED
        return not seen and not self.lost and self.whole_s is not None


@dataclass(slots=True)
class Measured:
    """Everything the run measured."""

    cells: list[Cell] = field(default_factory=list)
    #: for want of time
    not_reached: list[str] = field(default_factory=list)
    #: robots that were called offline while all of them spoke
    false_offline: int = 0
    baseline: dict[str, tuple[int, int]] = field(default_factory=dict)
    seconds: float = 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, print the table, write the JSON. 1 if a heartbeat is lost, a robot saw a failure or all is not whole."""
    asked = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the system it started ends with it
    measured, began = Measured(), time.monotonic()
    with running() as stack:
        stack.use_from_here()
        crew = Crew.at(stack.url("OWN_DOOR_PORT"))
        world = World(stack, crew, stack.state / "clock")
        world.start_ingest()
        ledger = stack.state / "benchmark-ledger"
        reach("full_100")  # before the robots come: v2 is refused in Preparation, and they would wait to enrol
        door, token = stack.url("ROBOTS_DOOR_PORT"), stack.enrolment_token
        with fleet(door, asked.robots, ledger, "--v2-share", V2_SHARE, enrolment_token=token) as process:
            robots = Robots(ledger, process)
            poll(lambda: ledger.exists() and robots.v2_said() > asked.robots, "v2 robots are not heard")
            for slug, name in product(asked.phases, asked.faults):
                if time.monotonic() - began < asked.minutes * 60:
                    measured.cells.append(cell(world, slug, name))
                else:
                    measured.not_reached.append(f"{name} in {slug}")
            measured.false_offline = called_offline(stack.environment["DATABASE_URL"])
        settle_accounts(measured.cells, ledger, stack.environment["DATABASE_URL"])
        measured.baseline = without_the_door(world, asked.robots, asked.faults)
    measured.seconds = time.monotonic() - began
    report(measured, asked.json)
    held = all(one.is_held for one in measured.cells) and not measured.not_reached
    return 0 if held and not measured.false_offline else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = reporting.arguments("Every fault at every phase, under a live fleet.")
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=PHASES, help="only these")
    parser.add_argument("--faults", nargs="+", choices=tuple(FAULTS), default=tuple(FAULTS), help="only these")
    parser.add_argument("--robots", type=int, default=ROBOTS)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="no fault begins later; those are named")
    return parser.parse_args(arguments)


def cell(world: World, slug: str, name: str) -> Cell:
    """Enter the phase, be whole, cause the fault, and wait until all is whole again."""
    world.enter(slug)
    if world.until_whole(WHOLE_SECONDS, rows=False) is None:
        print(f"{slug} is not whole before {name}: {'; '.join(world.wanting)}", file=sys.stderr)
    one = Cell(slug, name, time.time())
    lifted = None
    try:
        one.remark = FAULTS[name](world, slug)
        lifted = time.monotonic()
    except (RuntimeError, TimeoutError) as error:
        one.remark = f"FAILED: {error}"
    took = world.until_whole(WHOLE_SECONDS)
    one.whole_s = took if lifted else None
    one.wanting = world.wanting
    phase, latched = where()
    one.then = f"{phase}, latched" if latched else phase
    print(f"{time.strftime('%X')} {slug} {name}: {took} {one.then} {one.remark} {one.wanting}", file=sys.stderr)
    return one


def settle_accounts(cells: list[Cell], ledger: Path, database_url: str) -> None:
    """Give every call to the fault that came last before it, and look for what was acknowledged."""
    there, begins = stored(database_url), [one.began for one in cells]

    def cell_of(at: float) -> Cell | None:
        number = bisect_right(begins, at) - 1
        return cells[number] if number >= 0 else None

    for one in taken(ledger):
        if found := cell_of(one.sent):
            found.acknowledged_by_new += 1
            found.lost += one.identity not in there
    with ledger.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                count(json.loads(line), cell_of, there)


def count(line: list[Any], cell_of: Any, there: set[Any]) -> None:
    """One line of the ledger. A v2 heartbeat that went by the legacy call has a line of its own for that."""
    match line:
        case ["request", _, wall, _, call, outcome, by, request_id, _] if outcome != STOPPED and (one := cell_of(wall)):
            one.calls += 1
            if not (isinstance(outcome, int) and 200 <= outcome < 300):
                _note(one, f"{call} {outcome}")
            elif by == "legacy" and call == STATUS and str(uuid.UUID(request_id)) not in there:
                one.legacy_alone += 1
        case ["said", _, wall, _, _, _, outcome, way, _] if way != "legacy" and (one := cell_of(wall)):
            one.calls += 1
            if outcome in ("refused", "dropped"):
                _note(one, f"v2 {outcome}")


def _note(cell: Cell, failure: str) -> None:
    cell.failed += 1
    cell.failures[failure] = cell.failures.get(failure, 0) + 1


def without_the_door(world: World, count: int, faults: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Baseline: calls and failures of robots that call one system itself, under the same fault."""
    found = {}
    for name, port in BASELINES:
        if name not in faults:
            continue
        stack, ledger = world.stack, world.stack.state / f"baseline-{name}"
        side = ("--side", "new") if port == "INGEST_PORT" else ()
        with fleet(stack.url(port), count, ledger, *side) as process:
            robots = Robots(ledger, process)
            robots.wait_for(2 * count)
            found[name] = robots.during(lambda name=name: FAULTS[name](world, "full_100"))
    return found


def report(measured: Measured, path: Path | None) -> None:
    """Print the tables and write the JSON."""
    head = ("phase", "fault", "calls", "failed", "by new", "lost", "legacy alone", "whole again s", "then", "remark")
    rows = [
        (
            *(one.phase, one.fault, one.calls, one.failed, one.acknowledged_by_new, one.lost, one.legacy_alone),
            "never" if one.whole_s is None else f"{one.whole_s:.1f}",
            "" if one.then == one.phase else one.then,
            "; ".join([one.remark, *(f"{count} {what}" for what, count in one.failures.items()), *one.wanting]),
        )
        for one in measured.cells
    ]
    print(reporting.machine())
    print(reporting.table([head, *rows]))
    print(f"\nEach cause lasts {HELD_SECONDS:g} s. Once legacy is off for good, legacy-down means nothing.\n")
    for name in measured.not_reached:
        print(f"not reached: {name}")
    baseline = [(name, calls, failed) for name, (calls, failed) in measured.baseline.items()]
    print(reporting.table([("baseline: robots without the door", "calls", "failed"), *baseline]))
    helped = [one for one in measured.cells if (one.phase, one.fault) not in UNHELPED]
    figures = {
        "cells": len(measured.cells),
        "phases": len({one.phase for one in measured.cells}),
        "calls": sum(one.calls for one in measured.cells),
        "failed_requests": sum(one.failed for one in helped),
        "failed_where_one_system_is_alone": sum(one.failed for one in measured.cells) - sum(o.failed for o in helped),
        "acknowledged_by_new": sum(one.acknowledged_by_new for one in measured.cells),
        "lost_heartbeats": sum(one.lost for one in measured.cells),
        "never_whole": sum(one.whole_s is None for one in measured.cells),
        "whole_p50_s": reporting.quantile([o.whole_s for o in measured.cells if o.whole_s is not None], 0.5),
        "whole_worst_s": max((o.whole_s for o in measured.cells if o.whole_s is not None), default=None),
        "false_offline": measured.false_offline,
        "not_reached": len(measured.not_reached),
        "baseline_failed": sum(failed for _, failed in measured.baseline.values()),
        "seconds": round(measured.seconds),
    }
    print()
    print(reporting.table([("figure", "value"), *figures.items()]))
    each = {"each": [asdict(one) for one in measured.cells], "baseline": measured.baseline}
    reporting.write({**figures, **each}, path)


if __name__ == "__main__":
    sys.exit(main())
