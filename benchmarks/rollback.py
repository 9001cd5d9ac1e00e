"""How fast and how safely traffic goes back: `python -m benchmarks.rollback [--json FILE]`.

Rollbacks from every phase that has a way back, under load, down from the top again and again, and one emergency with
PostgreSQL, Redis, worker, site and `new` all gone. Right after each, every robot's row in legacy must be about as new
as its own last heartbeat.
Baselines: the same ways back as a step forward would go, through the database and a shift; and a proxy that is started
again to read another configuration, with what robots saw of that.
"""

import json
import logging
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import reporting
from benchmarks.shift import Robots, move, settle
from embedded.layout import ROOT
from embedded.stack import Stack, fleet, running

ROBOTS = 250
#: from the top down to Preparation, one rollback from each phase on the way
TOPS = ("decommission", "full_100")
ROUNDS = 4
RESTARTS = 3
#: on a busy machine a shift may need more than its 2 s, which is not what is measured
REACH_SECONDS = 20.0
#: no round and no way of the baseline begins later than this, so that a busy machine ends within 6 min, too
ROUNDS_SECONDS, BASELINE_SECONDS = 150.0, 40.0
#: a robot speaks once a second; a row that is so much older than the robot's own last heartbeat was left behind
STALE_SECONDS = 3.0
#: what robots said within the last moment may still be on its way
UNDER_WAY_SECONDS = 1.0
#: on a busy machine; what is promised is 3 s
EMERGENCY_SECONDS = 180.0
GONE = ("route-agent", "worker", "beat", "notifier", "site", "live", "ingest", "redis", "postgres")


class NotReached(RuntimeError):
    """A phase that nothing could be measured in, because the fleet did not get into it."""


@dataclass(slots=True)
class Measured:
    """Everything the run measured."""

    #: by the phase that was left
    seconds: dict[str, list[float]] = field(default_factory=dict)
    #: rollbacks and phases of which something is missing, a sentence each
    complaints: list[str] = field(default_factory=list)
    stale: int = 0
    requests: int = 0
    failed_requests: int = 0
    #: until traffic was back, and until the command had recorded and told it
    emergency_seconds: float | None = None
    emergency_command_seconds: float | None = None
    emergency_failed_requests: int = 0
    by_shift: list[float] = field(default_factory=list)
    by_restart: list[float] = field(default_factory=list)
    restart_failed_requests: int = 0


class LastHeard:
    """When each robot last said something that was acknowledged, by its own ledger, seconds since 1970."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._offset = 0
        self._at: dict[str, list[float]] = {}

    def before(self, moment: float) -> dict[str, float]:
        """The last heartbeat of each robot that left before `moment`."""
        with self._ledger.open("rb") as file:
            file.seek(self._offset)
            whole = file.read().rpartition(b"\n")[0]
        self._offset += len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            match json.loads(line):
                case ["request", _, sent, robot_id, "status", 200, *_]:
                    self._at.setdefault(robot_id, []).append(sent)
        found = {robot_id: [at for at in each if at < moment] for robot_id, each in self._at.items()}
        for robot_id, each in found.items():
            self._at[robot_id] = each[-1:] + [at for at in self._at[robot_id] if at >= moment]
        return {robot_id: max(each) for robot_id, each in found.items() if each}


def main() -> int:
    """Run it, print the table, write the JSON. 1 if a rollback was not observed or a robot saw a failure."""
    asked = reporting.arguments(__doc__.splitlines()[0] if __doc__ else "").parse_args()
    measured = Measured()
    with running() as stack:
        stack.use_from_here()
        logging.disable(logging.CRITICAL)  # every rollback is an event of that level; the table says what they say
        for watchdog in ("watchdog", "watchdog-standby"):
            stack.control.stop(watchdog)  # it would roll back what is measured here
        ledger = stack.state / "benchmark-ledger"
        with fleet(stack.url("ROBOTS_DOOR_PORT"), ROBOTS, ledger) as process:
            robots, heard = Robots(ledger, process), LastHeard(ledger)
            robots.wait_for(3 * ROBOTS)
            began = time.monotonic()
            for number in range(ROUNDS * len(TOPS)):
                if time.monotonic() - began > ROUNDS_SECONDS:
                    measured.complaints.append(f"only {number} of {ROUNDS * len(TOPS)} rounds: out of time")
                    break
                go_down(measured, stack, robots, heard, TOPS[number % len(TOPS)])
            measured.requests, measured.failed_requests = robots.requests(), robots.failures()
            baselines(measured, stack, robots)
            emergency(measured, stack, robots, heard)
    report(measured, asked.json)
    fine = not measured.complaints and not measured.failed_requests and not measured.stale
    return 0 if fine and measured.emergency_seconds is not None else 1


def go_down(measured: Measured, stack: Stack, robots: Robots, heard: LastHeard, top: str) -> None:
    """From the top down to Preparation, and look at legacy's rows after each rollback."""
    from migration import recording, rolling_back, routing
    from migration.actors import Actor
    from migration.rules.phases import phase_of

    try:
        reach(top)
    except NotReached as missed:
        measured.complaints.append(str(missed))
        return
    while phase_of(slug := routing.route_file().read().plan.phase).rolls_back_to:
        robots.wait_for(robots.requests() + ROBOTS // 2)  # the phase serves
        record = rolling_back.roll_back("previous", reason="benchmark", actor=Actor("benchmark"))
        if record.state == rolling_back.OBSERVED and record.seconds is not None:
            measured.seconds.setdefault(slug, []).append(record.seconds)
        else:
            measured.complaints.append(f"from {slug}: {record.state}: {'; '.join(record.late)}")
        measured.stale += stale(stack, heard)
        recording.drain()


def reach(slug: str) -> None:
    """Get to a phase by a shift, tried again for a while. Raises `NotReached` with why the last one failed."""
    deadline = time.monotonic() + REACH_SECONDS
    while True:
        try:
            return move(slug)
        except RuntimeError as failed:
            if time.monotonic() > deadline:
                raise NotReached(str(failed)) from failed
            print(f"again: {failed}", file=sys.stderr)


def baselines(measured: Measured, stack: Stack, robots: Robots) -> None:
    """The same ways back by a shift, and a proxy that is started again to take what is in its file."""
    from migration import routing
    from migration.rules.phases import PHASES

    until = time.monotonic() + BASELINE_SECONDS
    try:
        for phase in PHASES:
            if phase.rolls_back_to and time.monotonic() < until:
                reach(phase.slug)
                began = time.monotonic()
                reach(phase.rolls_back_to)
                measured.by_shift.append(time.monotonic() - began)
        reach("rollout_50")
    except NotReached as missed:
        measured.complaints.append(f"baseline: {missed}")
        return

    def start_again() -> None:
        began = time.monotonic()
        stack.control.restart("envoy")
        if routing.confirm(routing.route_file().read(), deadline_seconds=20.0).is_observed:
            measured.by_restart.append(time.monotonic() - began - routing.LIVE_SAMPLE_SECONDS)

    for _ in range(RESTARTS):
        _, failed = robots.during(start_again)
        measured.restart_failed_requests += failed
        settle(stack)


def emergency(measured: Measured, stack: Stack, robots: Robots, heard: LastHeard) -> None:
    """Everything but the door and legacy is killed; the command must do it alone."""
    try:
        reach("full_100")
    except NotReached as missed:
        measured.complaints.append(f"emergency: {missed}")
        return
    before = robots.failures()
    for name in GONE:
        stack.control.kill(name)
    command = [sys.executable, "-W", "ignore", "manage.py", "universal_rollback", "emergency", "benchmark", "--yes"]
    began = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        measured.emergency_seconds = seconds_until_latched(began)
        told, _ = process.communicate(timeout=EMERGENCY_SECONDS)
    measured.emergency_command_seconds = time.monotonic() - began
    if process.returncode:
        measured.complaints.append(f"emergency: {told.strip()}"[-500:])
    measured.stale += stale(stack, heard)
    robots.wait_for(robots.requests() + ROBOTS)
    measured.emergency_failed_requests = robots.failures() - before


def seconds_until_latched(began: float) -> float | None:
    """Seconds until every probe obeys a latched route, seen from outside the command; None if that takes too long."""
    from migration import routing
    from migration.drivers.envoy import observe

    while time.monotonic() - began < EMERGENCY_SECONDS:
        routed = routing.route_file().read()
        if routed.plan.latched and observe(routing.proxies(), routed, 1.0).is_observed:
            return time.monotonic() - began
        time.sleep(0.02)
    return None


def stale(stack: Stack, heard: LastHeard) -> int:
    """How many robots legacy has no row of, or one that is older than their own last heartbeat explains."""
    last = heard.before(time.time() - UNDER_WAY_SECONDS)
    with urllib.request.urlopen(f"{stack.url('LEGACY_PORT')}/api/robots", timeout=5) as answer:
        rows = {row["robot_id"]: row.get("last_seen") for row in json.loads(answer.read())}
    known = {robot_id: datetime.fromisoformat(at).timestamp() for robot_id, at in rows.items() if at}
    left_behind = [each for each, sent in last.items() if sent - known.get(each, 0.0) > STALE_SECONDS]
    return len(left_behind) + ROBOTS - len(last)


def report(measured: Measured, path: Path | None) -> None:
    """Print the tables and write the JSON."""
    seconds = [took for each in measured.seconds.values() for took in each]
    figures: dict[str, Any] = {
        "rollbacks": len(seconds),
        "phases": sorted(measured.seconds),
        "p50_s": _rounded(seconds, 0.5),
        "p99_s": _rounded(seconds, 0.99),
        "requests": measured.requests,
        "failed_requests": measured.failed_requests + measured.emergency_failed_requests,
        "emergency_all_down_s": measured.emergency_seconds and round(measured.emergency_seconds, 2),
        "emergency_command_s": measured.emergency_command_seconds and round(measured.emergency_command_seconds, 2),
        "legacy_stale_robots": measured.stale,
        "complaints": measured.complaints,
        "baseline_shift_p50_s": _rounded(measured.by_shift, 0.5),
        "baseline_shift_p99_s": _rounded(measured.by_shift, 0.99),
        "baseline_restart_p50_s": _rounded(measured.by_restart, 0.5),
        "baseline_restart_failed_requests": measured.restart_failed_requests,
    }
    print(reporting.machine())
    print(reporting.table([("figure", "value"), *figures.items()]))
    print()
    rows = [(slug, len(took), _rounded(took, 0.5), round(max(took), 3)) for slug, took in measured.seconds.items()]
    ways = (("baseline: by a shift", measured.by_shift), ("baseline: proxy started again", measured.by_restart))
    rows += [(way, len(took), _rounded(took, 0.5), round(max(took), 3)) for way, took in ways if took]
    print(reporting.table([("from", "times", "median s", "worst s"), *rows]))
    reporting.write(figures, path)


def _rounded(seconds: list[float], share: float) -> float | None:
    found = reporting.quantile(seconds, share)
    return None if found is None else round(found, 3)


if __name__ == "__main__":
    sys.exit(main())
