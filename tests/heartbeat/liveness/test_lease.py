"""One watcher at a time: the standby takes over, and a holder that was paused cannot write any more."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from heartbeat.watching.lease import Lease, LeaseLost
from heartbeat.watching.store import connect
from tests.databases import ROOT
from tests.heartbeat.liveness.world import World
from tests.heartbeat.running import eventually


@pytest.fixture
def two(world: World) -> Iterator[tuple[Lease, Lease]]:
    """A holder and a standby, each on its connection."""
    with connect(world.dsn) as first, connect(world.dsn) as second:
        yield Lease(first, "watcher", ttl_seconds=0.2), Lease(second, "watcher", ttl_seconds=60)


def test_only_one_holds_the_lease_until_it_runs_out_or_is_given_back(two: tuple[Lease, Lease]) -> None:
    holder, standby = two
    assert holder.take()
    assert not standby.take()

    eventually(standby.take)
    assert (holder.term, standby.term) == (1, 2)
    assert not holder.take()
    with pytest.raises(LeaseLost):
        holder.renew({})

    standby.release()
    assert holder.take()


def test_a_paused_holder_that_wakes_writes_nothing(world: World, two: tuple[Lease, Lease]) -> None:
    paused, standby = two
    assert paused.take()
    world.fence = paused.fence
    world.restarted()
    world.robot("a", 0)
    world.tick(1)
    eventually(standby.take)
    world.hear(153)

    with pytest.raises(LeaseLost):
        world.tick(153)

    assert world.events() == []
    world.fence = standby.fence
    # The standby's own connection is not the one that writes: its term is what counts.
    world.restarted()
    with pytest.raises(LeaseLost):
        paused.fence()


class Watchers:
    """`manage.py watcher`, twice."""

    def __init__(self, dsn: str, directory: Path) -> None:
        environment = {**os.environ, "DATABASE_URL": dsn, "SECRET_KEY": "only-for-tests", "LOG_JSON": "true"}
        self.logs = [directory / f"watcher-{number}.log" for number in range(2)]
        self.processes = []
        for path in self.logs:
            with path.open("wb") as log:
                command = [sys.executable, "-W", "ignore", "manage.py", "watcher"]
                self.processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


@pytest.fixture
def watchers(world: World, tmp_path: Path) -> Iterator[Watchers]:
    made = Watchers(world.dsn, tmp_path)
    yield made
    made.close()


def test_the_standby_takes_over_from_a_stopped_holder_and_nothing_is_told_twice(
    world: World, watchers: Watchers
) -> None:
    def holder() -> int | None:
        rows = world.rows("SELECT holder FROM heartbeat_lease WHERE until > clock_timestamp()")
        return int(rows[0]["holder"].split(":")[1]) if rows else None

    def hear() -> None:
        world.database.execute("SELECT heartbeat_say_hearing(clock_timestamp(), '1 hour')")

    def states() -> list[str]:
        hear()
        found = world.rows("SELECT to_state FROM heartbeat_livenessevent ORDER BY id")
        return [row["to_state"] for row in found]

    eventually(lambda: all("loop.started" in path.read_text() for path in watchers.logs))
    eventually(lambda: holder() is not None)
    first = holder()
    assert first is not None
    world.robot("a", 0, expected_interval_seconds=0.2, grace_seconds=0.4)
    world.database.execute("TRUNCATE heartbeat_deafness")
    world.database.execute("UPDATE heartbeat_robot SET first_seen_at = now(), last_seen_at = now()")
    hear()
    eventually(lambda: states() == ["online", "late", "offline"])

    os.kill(first, signal.SIGSTOP)
    eventually(lambda: psutil.Process(first).status() == psutil.STATUS_STOPPED)
    eventually(lambda: holder() not in (None, first))
    second = holder()
    assert second is not None
    world.database.execute("UPDATE heartbeat_robot SET last_seen_at = now()")
    eventually(lambda: states()[3:] == ["online", "late", "offline"])
    os.kill(first, signal.SIGCONT)
    index = [process.pid for process in watchers.processes].index(first)
    eventually(lambda: "LeaseLost" in watchers.logs[index].read_text())

    watchers.processes[1 - index].terminate()
    assert watchers.processes[1 - index].wait(10) == 0
    eventually(lambda: holder() == first)
    world.database.execute("UPDATE heartbeat_robot SET last_seen_at = now()")
    eventually(lambda: states()[6:] == ["online", "late", "offline"])


def test_a_transaction_in_which_its_client_was_stopped_ends_before_the_lease_does(world: World) -> None:
    with connect(world.dsn) as connection:
        lease = Lease(connection, "watcher")
        assert lease.take()
        gone = f"SELECT FROM pg_stat_activity WHERE pid = {connection.info.backend_pid}"
        connection.execute("BEGIN")
        lease.fence()
        eventually(lambda: not world.rows(gone))

        with pytest.raises(psycopg.Error):
            lease.fence()
