"""How fast and how truly silence is noticed: `python -m benchmarks.liveness [--json FILE]`.

10,000 robots that speak every 2 s are written as ingest writes them; some fall silent and come back by plan. Two
watchers run as in production. Then nothing can be stored for 15 s, five robots die, and everything goes on. Baseline,
in the same run: a monitor that scans all robots every 2 s. An event's lag is from its deadline to its commit, by
PostgreSQL's own commit timestamps.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks import liveness_poller, reporting
from benchmarks.liveness_fleet import LIMITS, Fact, Fleet, Ledger
from embedded.layout import ROOT
from embedded.places import runtime_directory
from embedded.postgres import Postgres

ROBOTS = 10_000
SECONDS = 60.0
OUTAGE_SECONDS = 15.0
DEAD = 5
POLL_SECONDS = 2.0
#: a fact and its event are the same moment, by two clocks' readings of one
SAME_SECONDS = 0.002

_WATCHED = """
SELECT robot_id, to_state, extract(epoch FROM became_at), extract(epoch FROM pg_xact_commit_timestamp(xmin))
FROM heartbeat_livenessevent WHERE from_state <> 'never'
"""
_POLLED = """
SELECT robot_id, to_state, extract(epoch FROM became_at), extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM polled
"""


@dataclass(slots=True)
class Compared:
    """Events against the ledger."""

    lags: list[float] = field(default_factory=list)
    recovered_lags: list[float] = field(default_factory=list)
    false: list[Fact] = field(default_factory=list)
    missed: list[Fact] = field(default_factory=list)
    outage_false: int = 0
    outage_found: int = 0

    @property
    def p99(self) -> float | None:
        """From deadline to commit."""
        return reporting.quantile(self.lags, 0.99)


def main() -> int:
    """Run it, print the table, write the JSON. 1 if an event was false or missing."""
    parser = reporting.arguments("How fast and how truly silence is noticed.")
    parser.add_argument("--robots", type=int, default=ROBOTS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long robots come and go")
    asked = parser.parse_args()
    with database() as dsn, watching(dsn) as processes:
        fleet = Fleet(dsn, asked.robots)
        fleet.run(time.time() + 5)  # the watchers take the fleet in
        began = time.time()
        cpu = [sum(process.cpu_times()[:2]) for process in processes]
        fleet.plan(began, began + asked.seconds)
        fleet.run(began + asked.seconds + LIMITS.offline_after_seconds + 20)
        lasted = time.time() - began
        used = [sum(process.cpu_times()[:2]) - before for process, before in zip(processes, cpu, strict=True)]
        paused = time.time()
        fleet.close_ledger(paused)
        dying = sorted(set(range(asked.robots)) - fleet.silent())[:DEAD]
        fleet.kill(dying)
        fleet.run(paused + 3)
        outage = time.time()
        fleet.pause(OUTAGE_SECONDS)
        fleet.run(time.time() + LIMITS.offline_after_seconds + 8)
        watched = compare(fleet.ledger, _events(fleet, _WATCHED), outage, {f"r{robot}" for robot in dying})
        polled = compare(fleet.ledger, _events(fleet, _POLLED), outage, {f"r{robot}" for robot in dying})
        figures = _figures(asked.robots, fleet, watched, polled)
        figures["beats_per_s"] = round(fleet.beats / (time.time() - began), 1)
        figures["cpu_share_watcher"] = round(max(used[:2]) / lasted, 3)
        figures["cpu_share_standby"] = round(min(used[:2]) / lasted, 3)
        figures["cpu_share_poller"] = round(used[2] / lasted, 3)
    report(figures, watched, asked.json)
    return 1 if watched.false or watched.missed or watched.outage_false else 0


def compare(
    ledger: Ledger, events: Sequence[tuple[str, str, float, float]], outage: float, dying: set[str]
) -> Compared:
    """Match events (robot, state, became, committed) with facts, each at most once."""
    found = Compared()
    facts = {(f"r{fact.robot}", fact.state, round(fact.at, 3)): fact for fact in ledger.facts}
    near = {f"r{robot}": began for robot, began in ledger.undecidable}
    for robot, state, became, committed in events:
        if committed >= outage - 1 and became >= outage - LIMITS.offline_after_seconds:
            found.outage_false += robot not in dying
            found.outage_found += robot in dying and state == "offline"
            continue
        fact = _taken(facts, robot, state, became)
        if fact:
            (found.recovered_lags if state == "online" else found.lags).append(committed - became)
        elif robot not in near:
            found.false.append(Fact(int(robot[1:]), state, became))
    found.missed = [fact for fact in facts.values() if f"r{fact.robot}" not in near]
    return found


def _taken(facts: dict[tuple[str, str, float], Fact], robot: str, state: str, became: float) -> Fact | None:
    for milliseconds in range(-2, 3):
        fact = facts.pop((robot, state, round(became + milliseconds / 1000, 3)), None)
        if fact and abs(fact.at - became) <= SAME_SECONDS:
            return fact
    return None


@contextmanager
def database() -> Iterator[str]:
    """A PostgreSQL as in production, with commit timestamps, migrated."""
    with tempfile.TemporaryDirectory(prefix="lekiwi-liveness-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        state = Path(place) / "state"
        state.mkdir(mode=0o711)
        server = Postgres(state / "postgres", runtime_directory(state), settings={"track_commit_timestamp": "on"})
        server.start()
        try:
            migrate = [sys.executable, "-W", "ignore", "manage.py", "migrate", "heartbeat", "-v", "0", "--skip-checks"]
            subprocess.run(migrate, cwd=ROOT, env=_environment(server.url), check=True)
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute(liveness_poller.TABLE)
            yield server.url
        finally:
            server.stop()
            server.remove()


@contextmanager
def watching(dsn: str) -> Iterator[list[psutil.Process]]:
    """Two watchers and the poller; yields their processes."""
    watcher = [sys.executable, "-W", "ignore", "manage.py", "watcher"]
    poller = [sys.executable, "-m", "benchmarks.liveness_poller", dsn, str(POLL_SECONDS)]
    started = [
        subprocess.Popen(command, cwd=ROOT, env=_environment(dsn), stdout=subprocess.DEVNULL)
        for command in (watcher, watcher, poller)
    ]
    try:
        yield [psutil.Process(process.pid) for process in started]
    finally:
        for process in started:
            process.terminate()
            process.wait(timeout=10)


def report(figures: dict[str, Any], watched: Compared, path: Path | None) -> None:
    """Print the tables and write the JSON."""
    print(reporting.machine())
    baseline = figures["baseline_poller"]
    rows = [("figure", "watcher", f"a scan every {POLL_SECONDS:.0f} s")]
    rows += [(name, figures[name], value) for name, value in baseline.items()]
    print(reporting.table(rows))
    print()
    more = [(name, value) for name, value in figures.items() if name not in baseline and name != "baseline_poller"]
    print(reporting.table([("figure", "value"), *more]))
    for word, facts in (("false", watched.false), ("missed", watched.missed)):
        print("".join(f"{word}: {fact}\n" for fact in facts[:10]), end="")
    reporting.write(figures, path)


def _figures(robots: int, fleet: Fleet, watched: Compared, polled: Compared) -> dict[str, Any]:
    facts = Counter(fact.state for fact in fleet.ledger.facts)
    told = {"robots": robots, **_told(watched)}
    told |= {f"true_{state}": facts[state] for state in ("late", "offline", "online")}
    told |= {"undecidable": len(fleet.ledger.undecidable), "baseline_poller": _told(polled)}
    return told


def _told(compared: Compared) -> dict[str, Any]:
    return {
        "p50_s": _rounded(reporting.quantile(compared.lags, 0.5)),
        "p99_s": _rounded(compared.p99),
        "max_s": _rounded(max(compared.lags, default=None)),
        "recovered_p99_s": _rounded(reporting.quantile(compared.recovered_lags, 0.99)),
        "false_events": len(compared.false),
        "missed_events": len(compared.missed),
        "outage_false_events": compared.outage_false,
        "outage_dead_found": f"{compared.outage_found} of {DEAD}",
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def _events(fleet: Fleet, query: str) -> list[tuple[str, str, float, float]]:
    rows = fleet.database.execute(query).fetchall()  # type: ignore[call-overload]
    return [(robot, state, float(became), float(committed)) for robot, state, became, committed in rows]


def _environment(dsn: str) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": dsn, "SECRET_KEY": "benchmark", "LOG_LEVEL": "WARNING"}


if __name__ == "__main__":
    sys.exit(main())
