"""What kill -9 costs, process by process, under load: `python -m benchmarks.faults [--json FILE]`.

Each process of the new system is killed, PostgreSQL with all of its children, and started again by the supervisor.
Half of the robots speak v2. Afterwards everything that a robot was told `new` had taken is looked for in the database:
legacy calls by their request id, v2 heartbeats by run and number. No robot is silent, so nobody may be called offline.
Baselines: robots that talk to ingest without the door while it is killed, and a writer that PostgreSQL tells of a
commit before (synchronous_commit off) and after it is on the disk, while that is killed.
"""

import signal
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from benchmarks import reporting
from benchmarks.acknowledged import Watched, stored, taken
from benchmarks.shift import Robots, move, settle
from embedded.stack import Stack, fleet, running

ROBOTS = 300
V2_SHARE = "0.5"
BASELINE_ROBOTS = 100
#: in the order of the kills; those that are not there are named in the report
PROCESSES = ("ingest", "site", "live", "watcher", "relay", "worker", "beat", "postgres", "redis")
#: how long the robots are watched after a kill, at least
WATCHED_SECONDS = 6.0
BACK_SECONDS = 60.0
#: a kill can hurt what was sent this long before it
BEFORE_SECONDS = 1.0
#: commits of the baseline before its kill
BASELINE_COMMITS = 2_000


@dataclass(slots=True)
class Fault:
    """A kill and what came of it. Times are Unix times."""

    process: str
    at: float
    restarted_s: float
    failed_requests: int
    requests: int
    acknowledged: int = 0
    acknowledged_v2: int = 0
    missing: int = 0
    heard_again_s: float | None = None


@dataclass(slots=True)
class Measured:
    """Everything the run measured."""

    faults: list[Fault] = field(default_factory=list)
    not_there: list[str] = field(default_factory=list)
    acknowledged: int = 0
    acknowledged_v2: int = 0
    missing: int = 0
    #: robots that were called offline, while all of them spoke
    false_offline: int = 0
    without_door: tuple[int, int] = (0, 0)
    #: synchronous_commit: (commits told of, missing)
    commits: dict[str, tuple[int, int]] = field(default_factory=dict)


def main() -> int:
    """Run it, print the tables, write the JSON. 1 if anything acknowledged is missing, or somebody not heard again."""
    asked = reporting.arguments(__doc__.splitlines()[0] if __doc__ else "").parse_args()
    measured = Measured()
    with running() as stack:
        stack.use_from_here()
        for watchdog in ("watchdog", "watchdog-standby"):
            stack.control.stop(watchdog)  # it would roll back what is measured here
        ledger = stack.state / "benchmark-ledger"
        move("full_100")  # before the robots come: v2 is refused in Preparation, and they would wait to enrol
        door, token = stack.url("ROBOTS_DOOR_PORT"), stack.enrolment_token
        with fleet(door, ROBOTS, ledger, "--v2-share", V2_SHARE, enrolment_token=token) as process:
            robots = Robots(ledger, process)
            poll(lambda: ledger.exists() and robots.v2_said() > ROBOTS, "v2 robots are not heard")
            there = stack.control.status()["processes"]
            measured.not_there = [name for name in PROCESSES if name not in there]
            for name in PROCESSES:
                if name in there:
                    measured.faults.append(fault(stack, robots, ledger, name))
            measured.false_offline = called_offline(stack.environment["DATABASE_URL"])
        settle_accounts(measured, ledger, stack.environment["DATABASE_URL"])
        measured.without_door = without_the_door(stack)
        measured.commits = {setting: alone(stack, setting) for setting in ("on", "off")}
    report(measured, asked.json)
    lost = measured.missing or measured.false_offline or not measured.acknowledged_v2
    return 0 if not lost and all(one.heard_again_s is not None for one in measured.faults) else 1


def fault(stack: Stack, robots: Robots, ledger: Path, name: str) -> Fault:
    """Kill a process, let the supervisor start it again, and watch the robots until `new` hears them again."""
    requests, failures = _said(robots)
    watched = Watched(ledger)
    at, restarted_s = kill_and_wait(stack, name)
    poll(
        lambda: watched.latest_taken() > at and time.time() - at > WATCHED_SECONDS,
        f"new heard nobody after {name} was killed",
    )
    settle(stack)
    requests_then, failures_then = _said(robots)
    return Fault(name, at, restarted_s, failures_then - failures, requests_then - requests)


def _said(robots: Robots) -> tuple[int, int]:
    """Requests and v2 heartbeats so far, and those that failed or that a robot gave up."""
    return robots.requests() + robots.v2_said(), robots.failures() + robots.v2_given_up()


def called_offline(database_url: str) -> int:
    """How many robots have been called offline so far."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM heartbeat_livenessevent WHERE to_state = 'offline'").fetchone()
        return int(row[0]) if row else 0


def kill_and_wait(stack: Stack, name: str) -> tuple[float, float]:
    """Send SIGKILL; returns when (Unix time), and the seconds until the supervisor had it running again."""
    before = stack.control.status()["processes"][name]
    kill(name, before["pid"], stack)
    at = time.time()

    def is_back() -> bool:
        now = stack.control.status()["processes"][name]
        return bool(now["ready"] and now["restarts"] > before["restarts"])

    poll(is_back, f"{name} was not started again")
    return at, time.time() - at


def kill(name: str, pid: int, stack: Stack) -> None:
    """Kill a process and its group; PostgreSQL's children have groups of their own, and die with it here."""
    children = psutil.Process(pid).children(recursive=True) if name == "postgres" else []
    stack.control.signal(name, signal.SIGKILL)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()


def poll(holds: Callable[[], bool], otherwise: str) -> None:
    """Wait until `holds()`."""
    deadline = time.monotonic() + BACK_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{otherwise} within {BACK_SECONDS:g} s")
        time.sleep(0.1)


def settle_accounts(measured: Measured, ledger: Path, database_url: str) -> None:
    """Look for everything acknowledged in the database; each belongs to the kill that came last before it."""
    there = stored(database_url)
    begins = [one.at - BEFORE_SECONDS for one in measured.faults]
    for one in taken(ledger):
        missing = one.identity not in there
        measured.acknowledged += 1
        measured.acknowledged_v2 += one.v2
        measured.missing += missing
        number = bisect_right(begins, one.sent) - 1
        if number >= 0:
            after = measured.faults[number]
            after.acknowledged += 1
            after.acknowledged_v2 += one.v2
            after.missing += missing
            if one.sent > after.at and after.heard_again_s is None:
                after.heard_again_s = one.told - after.at


def without_the_door(stack: Stack) -> tuple[int, int]:
    """Baseline: requests and failures of robots that talk to ingest itself, while it is killed and started again."""
    ledger = stack.state / "baseline-ledger"
    with fleet(stack.url("INGEST_PORT"), BASELINE_ROBOTS, ledger, "--side", "new") as process:
        robots = Robots(ledger, process)
        robots.wait_for(2 * BASELINE_ROBOTS)

        def killed() -> None:
            kill_and_wait(stack, "ingest")
            time.sleep(1.0)

        return robots.during(killed)


def alone(stack: Stack, synchronous_commit: str) -> tuple[int, int]:
    """Baseline: commits told of until PostgreSQL is killed, and how many of them are missing.

    One writer, one row a commit, and nobody else's commits to carry its own to the disk.
    """
    url = stack.environment["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as writer:
        writer.execute("CREATE TABLE benchmark_commits (number bigint)")
        writer.execute("SELECT set_config('synchronous_commit', %s, false)", (synchronous_commit,))
        told = _write_until_killed(writer, stack)
    with psycopg.connect(url, autocommit=True) as reader:
        row = reader.execute("SELECT count(*) FROM benchmark_commits WHERE number < %s", (told,)).fetchone()
        reader.execute("DROP TABLE benchmark_commits")
    return told, told - (int(row[0]) if row else 0)


def _write_until_killed(writer: psycopg.Connection, stack: Stack) -> int:
    """Commit rows one by one, kill PostgreSQL, and go on until the connection breaks; returns how many were told."""
    killer: threading.Thread | None = None
    told = 0
    try:
        while True:
            writer.execute("INSERT INTO benchmark_commits VALUES (%s)", (told,))
            told += 1
            if told == BASELINE_COMMITS:
                killer = threading.Thread(target=kill_and_wait, args=(stack, "postgres"))
                killer.start()
    except psycopg.OperationalError:
        pass  # what this waits for
    if killer:
        killer.join()
    return told


def report(measured: Measured, path: Path | None) -> None:
    """Print the tables and write the JSON."""
    columns = (
        "killed",
        "running again s",
        "said",
        "failed",
        "acknowledged",
        "v2",
        "stored",
        "missing",
        "heard again s",
    )
    rows = [
        (
            one.process,
            f"{one.restarted_s:.1f}",
            one.requests,
            one.failed_requests,
            one.acknowledged,
            one.acknowledged_v2,
            one.acknowledged - one.missing,
            one.missing,
            "never" if one.heard_again_s is None else f"{one.heard_again_s:.2f}",
        )
        for one in measured.faults
    ]
    print(reporting.machine())
    print(reporting.table([columns, *rows]))
    for name in measured.not_there:
        print(f"not there: {name}")
    requests, failed = measured.without_door
    print()
    print(
        reporting.table(
            [
                ("baseline", "acknowledged or sent", "missing or failed"),
                ("kill -9 ingest, robots without the door: requests, failed", requests, failed),
                *(
                    (f"kill -9 PostgreSQL, synchronous_commit {setting}: commits, missing", told, lost)
                    for setting, (told, lost) in measured.commits.items()
                ),
            ]
        )
    )
    print(f"\nacknowledged by new: {measured.acknowledged:,}, missing: {measured.missing:,}")
    print(f"of them v2: {measured.acknowledged_v2:,}; robots called offline while all spoke: {measured.false_offline}")
    figures = {
        "acknowledged": measured.acknowledged,
        "acknowledged_v2": measured.acknowledged_v2,
        "missing": measured.missing,
        "false_offline": measured.false_offline,
        "failed_requests": sum(one.failed_requests for one in measured.faults),
        "not_there": measured.not_there,
        "faults": {
            one.process: {
                "acknowledged": one.acknowledged,
                "acknowledged_v2": one.acknowledged_v2,
                "stored": one.acknowledged - one.missing,
                "missing": one.missing,
                "requests": one.requests,
                "failed_requests": one.failed_requests,
                "restarted_s": round(one.restarted_s, 2),
                "heard_again_s": None if one.heard_again_s is None else round(one.heard_again_s, 3),
            }
            for one in measured.faults
        },
        "baseline_without_door": {"requests": requests, "failed": failed},
        "baseline_synchronous_commit": {
            setting: {"acknowledged": told, "missing": lost} for setting, (told, lost) in measured.commits.items()
        },
    }
    reporting.write(figures, path)


if __name__ == "__main__":
    sys.exit(main())
