"""How fast and how safely traffic moves: `python -m benchmarks.shift [--json FILE]`.

Changes of the split under load, then each system killed, stopped and made to answer 500, seen by the robots.
Baseline: the same robots talking to one system without the door, while it is killed.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import reporting
from embedded.stack import Stack, counted, failing, fleet, running
from simulator.ledger import LedgerReader

ROBOTS = 1_100
CHANGES = 52
#: phases in an order that goes up and down, so that a change is as often a step back
TOUR = ("canary_10", "rollout_25", "rollout_50", "full_100", "rollout_50", "rollout_25", "canary_10", "shadow")
FAULT_SECONDS = 3.0
BASELINE_ROBOTS = 200


@dataclass(slots=True)
class Measured:
    """Everything the run measured."""

    acknowledged: list[float] = field(default_factory=list)
    observed: list[float] = field(default_factory=list)
    changes_failed: list[str] = field(default_factory=list)
    change_seconds: float = 0.0
    change_requests: int = 0
    failed_requests: int = 0
    #: what was done, at which percentage: (requests, failed)
    faults: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: system → (500s injected, 500s that the counters saw)
    injected: dict[str, tuple[int, int]] = field(default_factory=dict)
    baseline: tuple[int, int] = (0, 0)


def main() -> int:
    """Run it, print the table, write the JSON. 1 if a change failed or a robot saw a failure."""
    asked = reporting.arguments(__doc__.splitlines()[0] if __doc__ else "").parse_args()
    measured = Measured()
    with running() as stack:
        stack.use_from_here()
        for watchdog in ("watchdog", "watchdog-standby"):
            stack.control.stop(watchdog)  # it would roll back what is measured here
        ledger = stack.state / "benchmark-ledger"
        with fleet(stack.url("ROBOTS_DOOR_PORT"), ROBOTS, ledger) as process:
            robots = Robots(ledger, process)
            robots.wait_for(2 * ROBOTS)
            change(measured, robots)
            fault(measured, robots, stack)
        measured.failed_requests = robots.failures() - sum(failed for _, failed in measured.faults.values())
        measured.baseline = without_a_door(stack)
    report(measured, asked.json)
    fine = not measured.changes_failed and not measured.failed_requests
    return 0 if fine and not any(failed for _, failed in measured.faults.values()) else 1


class Robots:
    """What the robots have seen so far, from their ledger."""

    def __init__(self, ledger: Path, process: subprocess.Popen[bytes]) -> None:
        self._reader = LedgerReader(ledger)
        self._process = process

    def requests(self) -> int:
        """Requests that have ended."""
        return self._reader.update().sent

    def failures(self) -> int:
        """Requests that a robot saw fail."""
        return self._reader.update().failures

    def v2_said(self) -> int:
        """v2 heartbeats that are settled."""
        return self._reader.update().v2.outcomes.total()

    def v2_given_up(self) -> int:
        """v2 heartbeats that were refused, or dropped from a full buffer."""
        outcomes = self._reader.update().v2.outcomes
        return outcomes["refused"] + outcomes["dropped"]

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Let no robot speak in this block, so that two counters can be read as of the same moment."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def wait_for(self, requests: int, seconds: float = 60.0) -> None:
        """Wait until this many requests have ended."""
        deadline = time.monotonic() + seconds
        while not self._reader.path.exists() or self.requests() < requests:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{requests} requests have not ended within {seconds:.0f} s")
            time.sleep(0.2)

    def during(self, action: Callable[[], Any]) -> tuple[int, int]:
        """Requests and failures while `action` ran, with a second for late answers."""
        requests, failures = self.requests(), self.failures()
        action()
        time.sleep(1.0)
        return self.requests() - requests, self.failures() - failures


def change(measured: Measured, robots: Robots) -> None:
    """Change the split again and again, through the same use cases as a worker."""
    began, before = time.monotonic(), robots.requests()
    for number in range(CHANGES):
        move(TOUR[number % len(TOUR)], measured)
    measured.change_seconds = time.monotonic() - began
    measured.change_requests = robots.requests() - before


def move(slug: str, measured: Measured | None = None) -> None:
    """One change, applied and observed here."""
    from migration import shifting
    from migration.actors import Actor
    from migration.models import TrafficShift
    from migration.rules.phases import phase_of

    shift = shifting.request(phase_of(slug), actor=Actor("benchmark"), reason="benchmark")
    shift = shifting.apply(shift.pk)
    if shift.state != TrafficShift.State.OBSERVED:
        if measured is None:
            raise RuntimeError(f"{slug}: {shift.failure}")
        measured.changes_failed.append(f"{slug}: {shift.failure}")
        return
    if measured:
        measured.acknowledged.append(shift.acknowledged_seconds or 0.0)
        measured.observed.append(shift.observed_seconds or 0.0)


def fault(measured: Measured, robots: Robots, stack: Stack) -> None:
    """Break each system in each way and count what robots saw."""
    control = stack.control
    for slug, percent in (("canary_10", 10), ("rollout_50", 50), ("full_100", 100)):
        move(slug)
        for system, process in (("new", "ingest"), ("legacy", "legacy")):

            def killed(process: str = process) -> None:
                control.kill(process)
                time.sleep(FAULT_SECONDS)

            measured.faults[f"kill -9 {system} at {percent} %"] = robots.during(killed)
            control.start(process)
            settle(stack)
    move("rollout_50")
    for system, process in (("new", "ingest"), ("legacy", "legacy")):

        def stopped(process: str = process) -> None:
            control.signal(process, "STOP")
            time.sleep(FAULT_SECONDS)
            control.signal(process, "CONT")

        measured.faults[f"SIGSTOP {system} at 50 %"] = robots.during(stopped)
        settle(stack)
        measured.faults[f"500s of {system} at 50 %"] = robots.during(
            lambda system=system, process=process: inject(measured, robots, stack, system, process)
        )
        control.start(process)
        settle(stack)


def inject(measured: Measured, robots: Robots, stack: Stack, system: str, process: str) -> None:
    """Let a stand-in answer 500 in the system's place, and compare its own count with what the proxy counted.

    Both are read while the robots are held still, before and after: what was refused while the stand-in took the
    system's place is in neither.
    """
    from migration import routing, traffic

    port = stack.ports["INGEST_PORT" if system == "new" else "LEGACY_PORT"]

    def read() -> tuple[int, dict[str, Any]]:
        with robots.silent():
            answered = _answered(port)
            while answered != (now := _quietly(port)):
                answered = now
            counters, _ = routing.read_counters()
            return answered, counters

    stack.control.replace(process, failing(port))
    earlier, before = read()
    time.sleep(FAULT_SECONDS)
    later, after = read()
    flow = traffic.between(traffic.nothing(), traffic.change(before, after), FAULT_SECONDS)
    measured.injected[system] = (later - earlier, flow.served(system).errors)


def _quietly(port: int) -> int:
    """As `_answered`, once everything under way has had time to end."""
    time.sleep(0.3)
    return _answered(port)


def _answered(port: int) -> int:
    """How many 500s the stand-in has given to robots' calls."""
    return sum(count for call, count in counted(port).items() if not call.endswith("/health"))


def settle(stack: Stack) -> None:
    """Wait until both systems are well and nothing is ejected any more."""
    from migration import routing

    stack.wait_until_well("INGEST_PORT", "LEGACY_PORT")
    deadline = time.monotonic() + 30
    while routing.ejections() and time.monotonic() < deadline:
        time.sleep(0.1)


def without_a_door(stack: Stack) -> tuple[int, int]:
    """The baseline: robots that talk to legacy itself while it is killed and started again."""
    ledger = stack.state / "baseline-ledger"
    with fleet(stack.url("LEGACY_PORT"), BASELINE_ROBOTS, ledger) as process:
        robots = Robots(ledger, process)
        robots.wait_for(2 * BASELINE_ROBOTS)

        def killed() -> None:
            stack.control.kill("legacy")
            time.sleep(FAULT_SECONDS)
            stack.control.start("legacy")

        return robots.during(killed)


def report(measured: Measured, path: Path | None) -> None:
    """Print the tables and write the JSON."""
    faults = measured.faults
    injected = sum(answered for answered, _ in measured.injected.values())
    seen = sum(min(saw, answered) for answered, saw in measured.injected.values())
    figures = {
        "changes": len(measured.observed),
        "requests": measured.change_requests,
        "requests_per_s": round(measured.change_requests / measured.change_seconds, 1),
        "failed_requests": measured.failed_requests,
        "acknowledged_p99_s": reporting.quantile(measured.acknowledged, 0.99),
        "observed_p50_s": reporting.quantile(measured.observed, 0.5),
        "observed_p99_s": reporting.quantile(measured.observed, 0.99),
        "kill_failed_requests": sum(failed for name, (_, failed) in faults.items() if name.startswith("kill")),
        "stop_and_500_failed_requests": sum(
            failed for name, (_, failed) in faults.items() if not name.startswith("kill")
        ),
        "own_errors_seen": round(seen / injected, 4) if injected else None,
        "changes_failed": measured.changes_failed,
        "faults": {name: {"requests": requests, "failed": failed} for name, (requests, failed) in faults.items()},
        "injected": {system: {"answered_500": a, "counted": s} for system, (a, s) in measured.injected.items()},
        "baseline_without_door": {"requests": measured.baseline[0], "failed": measured.baseline[1]},
    }
    listed = (
        "changes",
        "requests",
        "requests_per_s",
        "failed_requests",
        "acknowledged_p99_s",
        "observed_p50_s",
        "observed_p99_s",
        "kill_failed_requests",
        "stop_and_500_failed_requests",
        "own_errors_seen",
    )
    print(reporting.machine())
    print(reporting.table([("figure", "value"), *((name, figures[name]) for name in listed)]))
    print()
    rows = [(name, requests, failed) for name, (requests, failed) in faults.items()]
    rows.append(("baseline: kill -9 legacy, robots without the door", *measured.baseline))
    print(reporting.table([("fault", "requests", "failed"), *rows]))
    print()
    print(reporting.table([("500s", "answered", "counted"), *((s, a, c) for s, (a, c) in measured.injected.items())]))
    for sentence in measured.changes_failed:
        print(f"change failed: {sentence}")
    reporting.write(figures, path)


if __name__ == "__main__":
    sys.exit(main())
