"""How fast legacy and `new` come into step and stay there: `python -m benchmarks.sync [--robots N] [--json FILE]`.

A first full sync, changes that only one system hears, both ways, a restart of Redis meanwhile, a legacy whose memory
is gone, and a comparison of all rows. Baseline: copying rows one by one, as a script of 60 s rounds would.
"""

import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from benchmarks import reporting
from embedded.stack import Stack, running

CHANGES = 200
CHANGES_PER_SECOND = 20
BASELINE_ROWS = 500
PATIENCE_SECONDS = 180.0


@dataclass(slots=True)
class Measured:
    """Everything the run measured."""

    robots: int
    first_sync_s: float = 0.0
    baseline_s: float = 0.0
    forward: list[float] = field(default_factory=list)
    reverse: list[float] = field(default_factory=list)
    after_redis: list[float] = field(default_factory=list)
    restart_replay_s: float = 0.0
    validation_s: float = 0.0
    different: int = 0
    rows_lost: int = 0
    not_seen: int = 0


def main() -> int:
    """Run it, print the table, write the JSON. 1 if a row was lost or a change never arrived."""
    parser = reporting.arguments(__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--robots", type=int, default=10_000)
    asked = parser.parse_args()
    measured = Measured(asked.robots)
    # Robots that speak every 30 s, as in the field: nobody falls silent while this runs.
    with running(environment={"ROBOT_INTERVAL_SECONDS": "30"}) as stack:
        stack.use_from_here()
        stack.control.stop("sync")
        first(measured, stack)
        stack.control.start("sync")
        looked(stack)
        continuous(measured, stack)
        validate(measured, stack)
        restart(measured, stack)
    report(measured, asked.json)
    return 1 if measured.rows_lost or measured.not_seen else 0


def robot_id(number: int) -> str:
    """A robot's id."""
    return f"{'XLE' if number % 5 == 0 else 'Lekiwi'}_{number:08X}"


def fill(stack: Stack, robots: int) -> None:
    """Let legacy hold this many rows, all heard within the last seconds."""
    now = datetime.now()
    rows = {}
    for number in range(robots):
        seen = (now - timedelta(seconds=5 + number % 5)).isoformat()
        health = {"services": {"teleop": "active" if number % 3 else "inactive", "lekiwi": "active"}, "timestamp": seen}
        said = {"robot_id": robot_id(number), "deployment_id": None, "version": "v1.2.0", "status": "idle"}
        rows[robot_id(number)] = {**said, "message": None, "health": health, "last_seen": seen}
    with httpx.Client(timeout=60) as client:
        deployments = client.get(f"{stack.url('LEGACY_PORT')}/_sim/state").json()["deployments"]
        state = {"robots": rows, "deployments": deployments}
        client.put(f"{stack.url('LEGACY_PORT')}/_sim/state", json=state).raise_for_status()


def first(measured: Measured, stack: Stack) -> None:
    """The first full sync of everything, then the baseline on as many rows as patience allows."""
    from migration.actors import Actor
    from migration.syncing import runs

    fill(stack, measured.robots)
    began = time.monotonic()
    run = runs.work(runs.request(Actor("benchmark")).pk)
    measured.first_sync_s = time.monotonic() - began
    if run.state != "done":
        raise RuntimeError(run.failure)
    measured.rows_lost = lost(stack)
    measured.baseline_s = one_by_one(stack)


def lost(stack: Stack) -> int:
    """Rows of legacy's that `new` does not hold, or holds differently."""
    from heartbeat.rules.identity import row_key_of
    from heartbeat.taking_over import held_rows

    listed = httpx.get(f"{stack.url('LEGACY_PORT')}/api/robots", timeout=60).json()
    held = held_rows([row_key_of(row["robot_id"]) for row in listed])
    return sum(1 for row in listed if (found := held.get(row_key_of(row["robot_id"]))) is None or found.row != row)


def one_by_one(stack: Stack) -> float:
    """Seconds that copying all rows takes when each is read and written alone, from BASELINE_ROWS of them."""
    from heartbeat.models import LegacyRow
    from heartbeat.rules.identity import row_key_of

    listed = httpx.get(f"{stack.url('LEGACY_PORT')}/api/robots", timeout=60).json()
    began = time.monotonic()
    for row in listed[:BASELINE_ROWS]:
        LegacyRow.objects.update_or_create(key=row_key_of(row["robot_id"]), defaults={"status": row["status"]})
    return (time.monotonic() - began) * len(listed) / min(BASELINE_ROWS, len(listed))


def looked(stack: Stack) -> None:
    """Wait until sync has looked both ways and nothing is pending."""
    from migration.models import SyncState

    began = datetime.now(UTC)

    def is_in_step() -> bool:
        state = SyncState.objects.first()
        return bool(
            state
            and state.legacy_read_at
            and state.legacy_read_at > began
            and not state.pending_back
            and not state.pending_forward
        )

    until(is_in_step)


def continuous(measured: Measured, stack: Stack) -> None:
    """Changes that legacy alone hears, then such that `new` alone hears; Redis is restarted between two halves."""
    measured.forward = changes(measured, stack, "LEGACY_PORT", arrived_at_new)
    stack.control.kill("redis")
    stack.control.start("redis")
    measured.after_redis = changes(measured, stack, "LEGACY_PORT", arrived_at_new, CHANGES // 4)
    measured.reverse = changes(measured, stack, "INGEST_PORT", arrived_at_legacy(stack), CHANGES // 2)


def changes(
    measured: Measured,
    stack: Stack,
    hears: str,
    arrived: Callable[[dict[str, str]], Iterable[str]],
    count: int = CHANGES,
) -> list[float]:
    """Say `count` new things to one system, at a steady rate, and time until the other one has each."""
    said: dict[str, tuple[float, str]] = {}
    lags: list[float] = []
    chosen = random.sample(range(measured.robots), count)
    began = time.monotonic()
    # as the door marks what it passes on; legacy reads no marks
    with httpx.Client(base_url=stack.url(hears), timeout=10, headers={"x-side": "new"}) as client:
        while chosen or said:
            if chosen and time.monotonic() >= began + (count - len(chosen)) / CHANGES_PER_SECOND:
                who, message = robot_id(chosen.pop()), f"{hears} {random.random()}"
                body = {"robot_id": who, "status": "idle", "version": "v1.2.0", "message": message}
                client.post("/api/robot/status", json=body).raise_for_status()
                said[who] = (time.monotonic(), message)
            for who in arrived({who: message for who, (_, message) in said.items()}):
                lags.append(time.monotonic() - said.pop(who)[0])
            if time.monotonic() - began > PATIENCE_SECONDS:
                measured.not_seen += len(said)
                break
            time.sleep(0.02)
    return lags


def arrived_at_new(waiting: dict[str, str]) -> list[str]:
    """Which of these robots' messages `new` has."""
    from heartbeat.models import Robot
    from heartbeat.rules.identity import key_of

    keys = [key_of(who) for who in waiting]
    found = dict(Robot.objects.filter(key__in=keys).values_list("robot_id", "message"))
    return [who for who, message in waiting.items() if found.get(who) == message]


def arrived_at_legacy(stack: Stack) -> Callable[[dict[str, str]], list[str]]:
    """The same of legacy, which is asked for one robot after the other."""

    async def ask(waiting: dict[str, str]) -> list[str]:
        async with httpx.AsyncClient(base_url=stack.url("LEGACY_PORT"), timeout=10) as client:
            rows = await asyncio.gather(*(client.get(f"/api/robots/{who}") for who in waiting))
        return [who for who, row in zip(waiting, rows, strict=True) if row.json().get("message") == waiting[who]]

    return lambda waiting: asyncio.run(ask(waiting)) if waiting else []


def validate(measured: Measured, stack: Stack) -> None:
    """Compare all rows of both systems, while they are in step."""
    from migration import comparing

    looked(stack)
    comparison = comparing.compare()
    if comparison.failure:
        raise RuntimeError(comparison.failure)
    measured.validation_s, measured.different = comparison.seconds, len(comparison.different)


def restart(measured: Measured, stack: Stack) -> None:
    """Legacy's memory is gone: how long until it knows every live robot again."""
    began = time.monotonic()
    stack.control.kill("legacy")
    stack.control.start("legacy")
    stack.wait_until_well("LEGACY_PORT", seconds=PATIENCE_SECONDS)

    def knows_all() -> bool:
        return bool(httpx.get(f"{stack.url('LEGACY_PORT')}/health", timeout=10).json()["robots"] >= alive())

    until(knows_all)
    measured.restart_replay_s = time.monotonic() - began


def alive() -> int:
    """How many robots legacy has to be told of."""
    from heartbeat.rules.liveness import late_after_seconds
    from heartbeat.taking_over import heard_since

    return len(heard_since(datetime.now(UTC) - timedelta(seconds=late_after_seconds(30.0))))


def until(holds: Callable[[], bool]) -> None:
    """Ask until it is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{holds.__name__} did not come true within {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.1)


def report(measured: Measured, path: Any) -> None:
    """Print the table and write the JSON."""
    figures = {
        "robots": measured.robots,
        "first_sync_s": round(measured.first_sync_s, 3),
        "baseline_one_by_one_s": round(measured.baseline_s, 1),
        "changes_forward": len(measured.forward),
        "lag_p50_s": reporting.quantile(measured.forward, 0.5),
        "lag_p99_s": reporting.quantile(measured.forward, 0.99),
        "lag_after_redis_restart_max_s": max(measured.after_redis, default=None),
        "changes_reverse": len(measured.reverse),
        "reverse_lag_p50_s": reporting.quantile(measured.reverse, 0.5),
        "reverse_lag_p99_s": reporting.quantile(measured.reverse, 0.99),
        "legacy_restart_replay_s": round(measured.restart_replay_s, 1),
        "validation_s": round(measured.validation_s, 3),
        "rows_different": measured.different,
        "rows_lost": measured.rows_lost,
        "changes_not_seen": measured.not_seen,
    }
    print(reporting.machine())
    shown = ((name, f"{value:.3f}" if isinstance(value, float) else value) for name, value in figures.items())
    print(reporting.table([("figure", "value"), *shown]))
    reporting.write(figures, path)


if __name__ == "__main__":
    sys.exit(main())
