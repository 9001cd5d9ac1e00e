"""`python -m benchmarks.cohorts`: what it costs the robots' door to count by cohort, and the watchdog to read it.

The door as it is shipped, with a table of 10,000 robots in 48 cohorts, beside the same door without the table, its
filter and its counters; rounds alternate. Figures: processor time of Envoy's own for each call of a robot, and the
milliseconds that one reading of the statistics takes with every cohort in them, and until another table counts.
"""

import contextlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import reporting
from benchmarks.bodies import robot_id
from benchmarks.ingest_world import FAST, UVICORN, wait_for_port
from benchmarks.load import ROOT, Job, measure
from embedded.envoy import TEMPLATE, Envoy
from embedded.ports import free_ports
from migration.drivers import admin
from migration.drivers.cohort_file import CohortFile
from migration.drivers.envoy import Proxy
from migration.drivers.route_file import RouteFile
from migration.drivers.statistics import Counters
from migration.rules.cohort_table import COHORTS, table_of
from migration.rules.plans import RoutePlan

ROBOTS = 10_000
SITES = 24
ROUNDS = 5
#: what there is of cohorts in the template: the filter, the counter, the histogram
OURS = (COHORTS, "cohort", "cohort_ms")


class Door:
    """An Envoy with both systems played by the same endpoint, so that every call costs it the same."""

    def __init__(self, name: str, template: Path, directory: Path, upstream: int) -> None:
        self.name = name
        state = directory / name
        robots, own, admin = free_ports(3)
        systems = dict.fromkeys(("LEGACY_PORT", "INGEST_PORT", "SITE_PORT", "LIVE_PORT"), upstream)
        ports = {"ROBOTS_DOOR_PORT": robots, "OWN_DOOR_PORT": own, "ENVOY_ADMIN_PORT": admin, **systems}
        RouteFile(state).initialise(RoutePlan("rollout_50", 50, shadow=False, failover_to_new=True, accept_v2=True))
        self.file = CohortFile(state)
        self.file.write(table(0))
        self.port = robots
        self.envoy = Envoy(state, template, ports)
        self.microseconds: list[float] = []

    def run(self, seconds: float) -> None:
        """One round of load."""
        before = self._busy_nanoseconds()
        result = measure(Job(kind="legacy", port=self.port, seconds=seconds, connections=32, robots=ROBOTS))
        if result.failed or result.refused:
            raise SystemExit(f"{self.name}: {result.failed} failed, {result.refused} refused")
        self.microseconds.append((self._busy_nanoseconds() - before) / result.acknowledged / 1_000)

    def counters(self) -> Counters:
        """What it counted."""
        return Proxy(self.name, self.envoy.admin_url, self.envoy.robots_door_url).counters()

    def reading_milliseconds(self) -> float:
        """How long the watchdog's reading takes, the best of ten."""
        took = []
        for _ in range(10):
            began = time.perf_counter()
            self.counters().as_totals()
            took.append(1_000 * (time.perf_counter() - began))
        return min(took)

    def acknowledged_milliseconds(self) -> float:
        """How long until it counts by another table of the whole fleet, from the decision to write: the median."""
        took = []
        for turn in range(1, 8):
            changed = table(turn)
            began = time.perf_counter()
            self.file.write(changed)
            wanted = f'version_text: "{json.loads(self.file.path.read_text())["version_info"]}"'
            while wanted not in admin.get(self.envoy.admin_url, f"/stats?filter=http_filter.{COHORTS}.version_text"):
                if time.perf_counter() > began + 10:
                    raise SystemExit(f"{self.name}: the table was not taken within 10 s")
            took.append(1_000 * (time.perf_counter() - began))
        return statistics.median(took)

    def _busy_nanoseconds(self) -> int:
        tasks = Path(f"/proc/{self.envoy.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def table(turn: int) -> dict[bytes, str]:
    """The fleet by kind and site; every turn the robots have other sites."""
    kinds = ("lekiwi", "xle")
    names = ((robot_id(n + 100_000).encode(), kinds[n % 2], f"site-{(n // 2 + turn) % SITES}") for n in range(ROBOTS))
    return table_of(names)


def without_cohorts(directory: Path) -> Path:
    """The shipped template without the filter, the counter and the histogram. Raises if one of them is not there."""
    # Ports stand there without quotes; Envoy's `render` takes them with.
    shipped = json.loads(re.sub(r'(?<!")(@[A-Z_]+@)(?!")', r'"\1"', TEMPLATE.read_text()))
    cut: list[str] = []
    path = directory / "without-cohorts.json"
    path.write_text(json.dumps(_without(shipped, cut)))
    if sorted(cut) != sorted(OURS):
        raise SystemExit(f"the template has {cut} of {OURS}")
    return path


def _without(value: Any, cut: list[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(item, cut) for name, item in value.items()}
    if not isinstance(value, list):
        return value
    names = [item.get("stat", item).get("name") if isinstance(item, dict) else None for item in value]
    cut += [name for name in names if name in OURS]
    return [_without(item, cut) for item, name in zip(value, names, strict=True) if name not in OURS]


@contextlib.contextmanager
def upstream() -> Iterator[int]:
    """An endpoint that answers 200 to everything."""
    (port,) = free_ports(1)
    command = [sys.executable, *UVICORN, *FAST, "benchmarks.noop:application", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        wait_for_port(port)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


def main() -> int:
    """Print the table; fail if the door with cohorts did not count by cohort."""
    parser = reporting.arguments(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=4.0, help=f"of load in each of {ROUNDS} rounds")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lekiwi-cohorts-") as name, upstream() as port:
        directory = Path(name)
        doors = [Door("with", TEMPLATE, directory, port), Door("without", without_cohorts(directory), directory, port)]
        for door in doors:
            door.envoy.start()
        try:
            for turn in range(ROUNDS):
                for door in doors if turn % 2 else reversed(doors):
                    door.run(given.seconds)
            readings = {door.name: door.reading_milliseconds() for door in doors}
            acknowledged = doors[0].acknowledged_milliseconds()
            counted = len(doors[0].counters().as_totals()["cohorts"]["new"])
        finally:
            for door in doors:
                door.envoy.stop()
    cost = {door.name: statistics.median(door.microseconds) for door in doors}
    figures = {
        "microseconds_per_call": {name: round(each, 2) for name, each in cost.items()},
        "added_microseconds": round(cost["with"] - cost["without"], 2),
        "spread_microseconds": {door.name: [round(each, 1) for each in sorted(door.microseconds)] for door in doors},
        "reading_milliseconds": {name: round(each, 2) for name, each in readings.items()},
        "table_acknowledged_milliseconds": round(acknowledged, 1),
        "cohorts": counted,
    }
    rows = [["door", "µs of Envoy a call (median of rounds)", "lowest", "highest", "ms to read"]]
    for door in doors:
        taken = sorted(door.microseconds)
        rows.append(
            [door.name, f"{cost[door.name]:.1f}", f"{taken[0]:.1f}", f"{taken[-1]:.1f}", f"{readings[door.name]:.1f}"]
        )
    print(reporting.table(rows))
    print(f"added: {figures['added_microseconds']} µs a call; {counted} cohorts counted")
    print(f"a table of {ROBOTS:,} robots acknowledged after {acknowledged:.0f} ms; {reporting.machine()}")
    reporting.write(figures, given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
