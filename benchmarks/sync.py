"""How fast legacy and `new` come into step and stay there: `python -m benchmarks.sync [--robots N] [--json FILE]`.

A first full sync, changes that only one system hears, both ways, a restart of Redis in the midst of them, a comparison
of all rows, and a legacy whose memory is gone. Baseline: copying rows one by one, as a script of 60 s rounds would.
Exit 1 if a row was lost or differs, or a change never arrived.
"""

import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks import reporting
from benchmarks.sync_world import Said, at_legacy, at_new, changes, fill, looked, lost, one_by_one, until
from embedded.stack import Stack, running

CHANGES = 200
#: sync's lag, as the Accuracy gate has it, is read this often
READ_SECONDS = 0.1


@dataclass(slots=True)
class Measured:
    """Everything the run measured."""

    robots: int
    first_sync_s: float = 0.0
    first_sync_cpu_s: float = 0.0
    baseline_s: float = 0.0
    forward: Said = field(default_factory=Said)
    around_redis: Said = field(default_factory=Said)
    reverse: Said = field(default_factory=Said)
    redis_back_s: float = 0.0
    restart_replay_s: float = 0.0
    validation_s: float = 0.0
    rows_lost: int = 0
    different: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def not_seen(self) -> int:
        """Changes that one system said and the other never had."""
        return self.forward.not_seen + self.around_redis.not_seen + self.reverse.not_seen


def main() -> int:
    """Run it, print the table, write the JSON."""
    parser = reporting.arguments(__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--robots", type=int, default=10_000)
    asked = parser.parse_args()
    measured = Measured(asked.robots)
    # Nobody falls silent while this runs: a silent robot is not told of, and would not come back after a restart.
    with running(environment={"ROBOT_INTERVAL_SECONDS": "300"}) as stack:
        stack.use_from_here()
        stack.control.stop("sync")
        first(measured, stack)
        stack.control.start("sync")
        try:
            looked()
            both_ways(measured, stack)
            looked()
            measured.validation_s = validate(measured)
            restart(measured, stack)
            validate(measured)
        except TimeoutError as error:
            measured.failures.append(str(error))
        report(measured, asked.json)
    return 1 if measured.rows_lost or measured.different or measured.not_seen or measured.failures else 0


def first(measured: Measured, stack: Stack) -> None:
    """The first full sync of everything, then the baseline on as many rows as patience allows."""
    from migration.actors import Actor
    from migration.syncing import runs

    fill(stack, measured.robots)
    began, cpu = time.monotonic(), time.process_time()
    run = runs.work(runs.request(Actor("benchmark")).pk)
    measured.first_sync_s = time.monotonic() - began
    measured.first_sync_cpu_s = time.process_time() - cpu
    if run.state != "done":
        raise RuntimeError(run.failure)
    measured.rows_lost = lost(stack)
    measured.baseline_s = one_by_one(stack, measured.robots)


def both_ways(measured: Measured, stack: Stack) -> None:
    """Changes that legacy alone hears, the same while Redis is restarted, and such that `new` alone hears."""
    robots, restarting = measured.robots, Restarting(stack)
    measured.forward = changes(stack, robots, CHANGES, hears="LEGACY_PORT", arrived=at_new())
    watching = threading.Thread(target=restarting.watch)
    watching.start()
    measured.around_redis = changes(
        stack, robots, CHANGES // 2, hears="LEGACY_PORT", arrived=at_new(), halfway=restarting.redis
    )
    restarting.over.set()
    watching.join()
    measured.redis_back_s = restarting.back_after_seconds
    measured.reverse = changes(stack, robots, CHANGES // 2, hears="INGEST_PORT", arrived=at_legacy(stack))


class Restarting:
    """A restart of Redis, and for how long after it sync was behind by more than it may be."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._began: float | None = None
        self.over = threading.Event()
        self.back_after_seconds = 0.0

    def redis(self) -> None:
        """Kill it and start it again."""
        self._began = time.monotonic()
        self._stack.control.kill("redis")
        self._stack.control.start("redis")

    def watch(self) -> None:
        """Read the lag until it is over."""
        from django.db import connection

        from migration.syncing.lag import lags

        while not self.over.wait(READ_SECONDS):
            found = lags()
            behind = found.forward_seconds is None or found.forward_seconds > found.forward_limit_seconds
            if behind and self._began is not None:
                self.back_after_seconds = time.monotonic() - self._began
        connection.close()


def validate(measured: Measured) -> float:
    """Check every row of both systems, as the gate does; seconds it took. What differs is kept by name."""
    from migration.validation import integrity

    found = integrity.check()
    if found.failure:
        measured.failures.append(found.failure)
    measured.different += sorted({f"{one.robot_id} {one.field}" for one in found.unexplained})
    return found.seconds


def restart(measured: Measured, stack: Stack) -> None:
    """Legacy's memory is gone: how long until it knows every robot again, all of which are alive."""
    began = time.monotonic()
    stack.control.kill("legacy")
    stack.control.start("legacy")
    stack.wait_until_well("LEGACY_PORT")

    def legacy_knows_every_robot_again() -> bool:
        return bool(httpx.get(f"{stack.url('LEGACY_PORT')}/health", timeout=10).json()["robots"] >= measured.robots)

    until(legacy_knows_every_robot_again)
    measured.restart_replay_s = time.monotonic() - began
    looked()


def report(measured: Measured, path: Path | None) -> None:
    """Print the table and write the JSON."""
    forward, reverse = measured.forward.lags, measured.reverse.lags
    figures: dict[str, Any] = {
        "robots": measured.robots,
        "first_sync_s": measured.first_sync_s,
        "first_sync_cpu_s": measured.first_sync_cpu_s,
        "baseline_one_by_one_s": measured.baseline_s,
        "changes_forward": len(forward),
        "lag_p50_s": reporting.quantile(forward, 0.5),
        "lag_p99_s": reporting.quantile(forward, 0.99),
        "changes_around_redis_restart": len(measured.around_redis.lags),
        "redis_restart_lag_max_s": max(measured.around_redis.lags, default=None),
        "redis_restart_lag_back_s": measured.redis_back_s,
        "changes_reverse": len(reverse),
        "reverse_lag_p50_s": reporting.quantile(reverse, 0.5),
        "reverse_lag_p99_s": reporting.quantile(reverse, 0.99),
        "validation_s": measured.validation_s,
        "legacy_restart_replay_s": measured.restart_replay_s,
        "rows_lost": measured.rows_lost,
        "rows_different": len(measured.different),
        "changes_not_seen": measured.not_seen,
    }
    figures = {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
    print(reporting.machine())
    print(reporting.table([("figure", "value"), *figures.items()]))
    for told in (*measured.failures, *measured.different[:10]):
        print(told)
    reporting.write({**figures, "failures": measured.failures}, path)


if __name__ == "__main__":
    sys.exit(main())
