"""How fast and how safely traffic goes back: `python -m benchmarks.rollback [--json FILE]`.

Rollbacks from every phase that has a way back, under load, and one emergency with PostgreSQL, Redis, worker, site and
`new` all gone. Right after each, every robot's row in legacy must be as new as its own heartbeat.
Baseline: the same way back as a step forward would go, through the database and a shift.
"""

import json
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from benchmarks import reporting
from benchmarks.shift import Robots, move
from embedded.programs import ROOT
from embedded.stack import Stack, fleet, running

ROBOTS = 500
TOUR = ("shadow", "canary_10", "rollout_25", "rollout_50", "full_100", "decommission")
ROUNDS = 6
FORWARD_TRIES = 5
#: a robot speaks once a second; one whose row is older than this was left behind
STALE_SECONDS = 5.0
GONE = ("watchdog", "watchdog-standby", "route-agent", "worker", "beat", "site", "live", "ingest", "redis", "postgres")


@dataclass(slots=True)
class Measured:
    """Everything the run measured."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    not_observed: list[str] = field(default_factory=list)
    baseline: list[float] = field(default_factory=list)
    stale: int = 0
    failed_requests: int = 0
    emergency_seconds: float | None = None
    emergency_observed: bool = False


def main() -> int:
    """Run it, print the table, write the JSON. 1 if a rollback was not observed or a robot saw a failure."""
    asked = reporting.arguments(__doc__.splitlines()[0] if __doc__ else "").parse_args()
    measured = Measured()
    with running() as stack:
        stack.use_from_here()
        for watchdog in ("watchdog", "watchdog-standby"):
            stack.control.stop(watchdog)  # it would roll back what is measured here
        ledger = stack.state / "benchmark-ledger"
        with fleet(stack.url("ROBOTS_DOOR_PORT"), ROBOTS, ledger) as process:
            robots = Robots(ledger, process)
            robots.wait_for(3 * ROBOTS)
            for _ in range(ROUNDS):
                for slug in TOUR:
                    back(measured, stack, slug)
            measured.failed_requests = robots.failures()
            emergency(measured, stack)
            measured.stale += stale(stack)
    report(measured, asked.json)
    fine = not measured.not_observed and not measured.failed_requests and not measured.stale
    return 0 if fine and measured.emergency_observed else 1


def back(measured: Measured, stack: Stack, slug: str) -> None:
    """Go to a phase, roll back from it, and look at legacy's rows at once; then the baseline's way."""
    from migration import recording, rolling_back
    from migration.actors import Actor
    from migration.rules.phases import phase_of

    target = phase_of(slug).rolls_back_to or "preparation"
    reach(slug)
    record = rolling_back.roll_back("previous", reason="benchmark", actor=Actor("benchmark"))
    if record.state == rolling_back.OBSERVED and record.seconds is not None:
        measured.seconds.setdefault(slug, []).append(record.seconds)
    else:
        measured.not_observed.append(f"{slug}: {record.state}: {'; '.join(record.late)}")
    measured.stale += stale(stack)
    recording.drain()
    reach(slug)
    began = time.monotonic()
    reach(target)
    measured.baseline.append(time.monotonic() - began)


def reach(slug: str) -> None:
    """Get to a phase by a shift; on a busy machine one may need more than its 2 s, which is not what is measured."""
    for _ in range(FORWARD_TRIES - 1):
        try:
            return move(slug)
        except RuntimeError as failed:
            print(f"again: {failed}", file=sys.stderr)
    return move(slug)


def emergency(measured: Measured, stack: Stack) -> None:
    """Everything but the door and legacy is killed; the command must do it alone."""
    reach("full_100")
    for name in GONE:
        stack.control.kill(name) if name not in ("watchdog", "watchdog-standby") else None
    began = time.monotonic()
    command = [sys.executable, "-W", "ignore", "manage.py", "universal_rollback", "emergency", "benchmark", "--yes"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    measured.emergency_seconds = time.monotonic() - began
    measured.emergency_observed = done.returncode == 0
    if done.returncode:
        measured.not_observed.append(f"emergency: {done.stderr.strip()}")


def stale(stack: Stack) -> int:
    """How many of legacy's rows are older than a robot's silence could explain, or missing."""
    with urllib.request.urlopen(f"{stack.url('LEGACY_PORT')}/api/robots", timeout=5) as answer:
        rows = json.loads(answer.read())
    seen = [datetime.fromisoformat(row["last_seen"]).timestamp() for row in rows if row.get("last_seen")]
    # By legacy's own clock, which the rows are stamped with: the newest row is now.
    now = max(seen, default=0.0)
    return ROBOTS - sum(1 for at in seen if now - at <= STALE_SECONDS)


def report(measured: Measured, path: Path | None) -> None:
    """Print the tables and write the JSON."""
    seconds = [took for each in measured.seconds.values() for took in each]
    figures = {
        "rollbacks": len(seconds),
        "phases": sorted(measured.seconds),
        "p50_s": reporting.quantile(seconds, 0.5),
        "p99_s": reporting.quantile(seconds, 0.99),
        "failed_requests": measured.failed_requests,
        "emergency_all_down_s": measured.emergency_seconds,
        "legacy_stale_robots": measured.stale,
        "not_observed": measured.not_observed,
        "baseline_p50_s": reporting.quantile(measured.baseline, 0.5),
        "baseline_p99_s": reporting.quantile(measured.baseline, 0.99),
    }
    print(reporting.machine())
    print(reporting.table([("figure", "value"), *((name, value) for name, value in figures.items())]))
    print()
    rows = [
        (slug, len(took), f"{reporting.quantile(took, 0.5):.3f}", f"{max(took):.3f}")
        for slug, took in measured.seconds.items()
    ]
    print(reporting.table([("from", "rollbacks", "median s", "worst s"), *rows]))
    reporting.write(figures, path)


if __name__ == "__main__":
    sys.exit(main())
