"""How fast the watchdog takes traffic back by itself: `python -m benchmarks.watchdog [--json FILE]`.

Gross faults of `new` at several phases under at least 200 requests a second to it: from the fault until the route is
back and observed, and healthy stretches in between, in which nothing may move. Small faults and false alarms are
tabulated by simulation (`benchmarks.detecting`), beside the window rule alone as the baseline. In the same run, a
baseline for the gross faults: what robots' failover shows of them, which is nothing.
"""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import detecting, reporting
from benchmarks.rollback import reach
from benchmarks.shift import Robots, settle
from embedded.stack import Stack, failing, fleet, running

ROBOTS = 500
ROUNDS = ("rollout_50", "full_100", "rollout_50", "full_100", "rollout_50")
KINDS = ("500", "stop")
#: what counts as missed
PATIENCE_SECONDS = 20.0
#: a healthy stretch before each fault: long enough for the whole window to be of this route
HEALTHY_SECONDS = 5.0


@dataclass(slots=True)
class Measured:
    """Everything the run measured."""

    seconds: list[tuple[str, float]] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    false_rollbacks: int = 0
    failed_requests: int = 0


def main() -> int:
    """Run it, print the tables, write the JSON. 1 if a fault was missed or a healthy system was rolled back."""
    asked = reporting.arguments(__doc__.splitlines()[0] if __doc__ else "").parse_args()
    measured = Measured()
    with running() as stack:
        stack.use_from_here()
        ledger = stack.state / "benchmark-ledger"
        with fleet(stack.url("ROBOTS_DOOR_PORT"), ROBOTS, ledger) as process:
            robots = Robots(ledger, process)
            robots.wait_for(2 * ROBOTS)
            for slug in ROUNDS:
                for kind in KINDS:
                    one_fault(measured, stack, slug, kind)
            measured.failed_requests = robots.failures()
    report(measured, asked.json)
    return 1 if measured.missed or measured.false_rollbacks else 0


def one_fault(measured: Measured, stack: Stack, slug: str, kind: str) -> None:
    """A phase that is well for a while, then a fault of `new`, then everything as before."""
    from migration import recording, routing

    file = routing.route_file()
    reach("shadow")
    reach(slug)
    version = file.read().version
    time.sleep(HEALTHY_SECONDS)
    if file.read().version != version:
        measured.false_rollbacks += 1
    began = time.monotonic()
    if kind == "500":
        stack.control.replace("ingest", failing(stack.ports["INGEST_PORT"]))
    else:
        stack.control.signal("ingest", "STOP")
    back = wait_until_back(began)
    name = f"{kind} at {slug}"
    if back is None:
        measured.missed.append(name)
    else:
        measured.seconds.append((name, back))
    if kind == "500":
        stack.control.start("ingest")
    else:
        stack.control.signal("ingest", "CONT")
    settle(stack)
    if file.latched():
        file.release(by="benchmark", because="the fault is over")
    recording.drain()


def wait_until_back(began: float) -> float | None:
    """Seconds until the route holds every robot on legacy and all of the proxies obey; None if it does not happen."""
    from migration import routing

    while time.monotonic() - began < PATIENCE_SECONDS:
        routed = routing.route_file().read()
        if routed.plan.percent == 0:
            seen = routing.confirm(routed, deadline_seconds=2.0)
            # Live traffic is looked at after the probes obeyed, which is when robots were back.
            return time.monotonic() - began - routing.LIVE_SAMPLE_SECONDS if seen.is_observed else None
        time.sleep(0.02)
    return None


def report(measured: Measured, path: Path | None) -> None:
    """Print the tables and write the JSON."""
    seconds = [took for _, took in measured.seconds]
    delays, alarms = detecting.delays(), detecting.false_alarms()
    figures = {
        "faults": len(measured.seconds) + len(measured.missed),
        "p50_s": reporting.quantile(seconds, 0.5),
        "p99_s": reporting.quantile(seconds, 0.99),
        "missed": len(measured.missed),
        "false_rollbacks": measured.false_rollbacks,
        "failed_requests": measured.failed_requests,
        "missed_faults": measured.missed,
        "each": dict(enumerate(f"{name}: {took:.2f} s" for name, took in measured.seconds)),
        "delays": [
            {
                "requests_per_s": row.requests_per_second,
                "error_share": row.share,
                "median_s": row.median_s,
                "worst_s": row.worst_s,
                "baseline_median_s": row.baseline_median_s,
                "baseline_missed": row.baseline_missed,
            }
            for row in delays
        ],
        "false_alarms_in_2_h": [
            {"requests_per_s": rate, "error_share": share, "alarms": alarms_now, "baseline": before}
            for rate, share, alarms_now, before in alarms
        ],
    }
    listed = ("faults", "p50_s", "p99_s", "missed", "false_rollbacks", "failed_requests")
    print(reporting.machine())
    print(reporting.table([("figure", "value"), *((name, figures[name]) for name in listed)]))
    print()
    print(reporting.table([("fault", "seconds until back"), *((n, f"{s:.2f}") for n, s in measured.seconds)]))
    print()
    head = ("requests/s", "errors", "median s", "worst s", "window alone: median s", f"missed of {detecting.RUNS}")
    print(
        reporting.table(
            [
                head,
                *(
                    (
                        r.requests_per_second,
                        f"{r.share:.1%}",
                        r.median_s,
                        r.worst_s,
                        r.baseline_median_s,
                        r.baseline_missed,
                    )
                    for r in delays
                ),
            ]
        )
    )
    print()
    rows = [(rate, f"{share:.2%}", now, before) for rate, share, now, before in alarms]
    print(reporting.table([("requests/s", "errors", "false alarms in 2 h", "window alone"), *rows]))
    reporting.write(figures, path)


if __name__ == "__main__":
    sys.exit(main())
