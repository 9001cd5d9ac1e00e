import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from embedded import children, conditions
from embedded.control import Control, ControlError, ControlServer
from embedded.errors import AlreadyRunning, StartError
from embedded.leftovers import Records, identity
from embedded.locking import lock
from embedded.supervisor import Program, Supervisor

ROOT = Path(__file__).resolve().parents[2]
SERVER = """
import http.server, sys
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.BaseHTTPRequestHandler).serve_forever()
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


class Stand:
    """A supervisor and what it said."""

    def __init__(self, state: Path) -> None:
        self.said: list[str] = []
        self.state = state
        self.supervisor = Supervisor(state, self.said.append)

    def program(self, name: str, source: str, *arguments: str, port: int | None = None, grace: float = 5) -> Program:
        return Program(
            name=name,
            argv=[sys.executable, "-c", source, *arguments],
            env=dict(os.environ),
            cwd=self.state,
            ready=conditions.port_open(port) if port else None,
            port=port,
            grace_seconds=grace,
        )

    def pid(self, name: str) -> int:
        pid = self.supervisor.status()[name]["pid"]
        assert isinstance(pid, int)
        return pid

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.fixture
async def stand(state_dir: Path) -> AsyncIterator[Stand]:
    made = Stand(state_dir)
    yield made
    await made.supervisor.stop_all()


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


async def test_a_process_that_dies_is_restarted_and_named(stand: Stand, free_port: int) -> None:
    await stand.supervisor.add(stand.program("legacy", SERVER, str(free_port), port=free_port))
    first = stand.pid("legacy")

    os.kill(first, signal.SIGKILL)
    await stand.until(lambda: any("running again" in line for line in stand.said))

    assert stand.pid("legacy") != first
    assert "legacy died (signal SIGKILL)" in stand.said[0]
    assert await conditions.port_open(free_port)()


async def test_a_process_that_ends_at_once_is_not_called_started(stand: Stand, free_port: int) -> None:
    with pytest.raises(StartError, match=r"site ended while starting: no database"):
        await stand.supervisor.add(stand.program("site", "raise SystemExit('no database')", port=free_port))


async def test_what_listens_nowhere_is_ready_when_it_says_so_each_time(stand: Stand) -> None:
    source = "import time; print('loop.started', flush=True); time.sleep(600)"
    program = replace(stand.program("watchdog", source), says="loop.started", ready_seconds=10)
    await stand.supervisor.add(program)
    log = stand.state / "log" / "watchdog.log"
    assert log.read_text().count("loop.started") == 1

    await stand.supervisor.restart("watchdog")

    assert log.read_text().count("loop.started") == 2


async def test_one_that_needs_longer_than_it_is_given_after_a_restart_is_ready_in_the_end(stand: Stand) -> None:
    source = """if True:
        import pathlib, time
        if pathlib.Path("before").exists():
            while not pathlib.Path("go").exists(): time.sleep(0.01)
        pathlib.Path("before").touch()
        print("started", flush=True)
        time.sleep(600)
    """
    await stand.supervisor.add(replace(stand.program("worker", source), says="started", ready_seconds=2))

    stand.supervisor.signal("worker", signal.SIGKILL)
    await stand.until(lambda: any("was not ready after 2 s" in line for line in stand.said))
    (stand.state / "go").touch()

    await stand.until(lambda: bool(stand.supervisor.status()["worker"]["ready"]))
    assert "worker is running again, late (restart 1)" in stand.said


async def test_one_that_does_not_obey_is_killed_with_all_it_started(stand: Stand) -> None:
    source = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {DEAF!r}]); {DEAF}"
    await stand.supervisor.add(stand.program("worker", source, grace=0.3))
    log = stand.state / "log" / "worker.log"
    await stand.until(lambda: log.read_text().count("deaf") == 2)
    family = [psutil.Process(stand.pid("worker")), *psutil.Process(stand.pid("worker")).children()]
    assert len(family) == 2

    await stand.supervisor.stop("worker")

    _, alive = psutil.wait_procs(family, timeout=5)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    assert "worker did not stop within 0.3 s" in stand.said[0]


async def test_stopping_ends_what_it_started_and_nothing_else(
    stand: Stand, stranger: subprocess.Popen[bytes], free_port: int
) -> None:
    await stand.supervisor.add(stand.program("legacy", SERVER, str(free_port), port=free_port))
    await stand.supervisor.add(stand.program("fleet", "import time; time.sleep(600)"))
    pids = [stand.pid("legacy"), stand.pid("fleet")]

    await stand.supervisor.stop_all()

    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert stranger.poll() is None
    assert not list((stand.state / "run").iterdir())


async def test_a_frozen_process_can_be_stopped(stand: Stand) -> None:
    await stand.supervisor.add(stand.program("ingest", "import time; time.sleep(600)"))
    stand.supervisor.signal("ingest", signal.SIGSTOP)

    await stand.supervisor.stop("ingest")

    assert stand.supervisor.status()["ingest"]["pid"] is None
    assert not stand.said


@pytest.fixture
async def control(stand: Stand, runtime_dir: Path) -> AsyncIterator[Control]:
    server = ControlServer(runtime_dir / "control.sock", stand.supervisor, {"LEGACY_URL": "http://127.0.0.1:1"})
    await server.open()
    yield Control(server.path)
    await server.close()


async def test_the_control_socket_replaces_a_process_until_it_is_started_again(
    stand: Stand, control: Control, free_port: int
) -> None:
    await stand.supervisor.add(stand.program("ingest", SERVER, str(free_port), port=free_port))
    normal = stand.pid("ingest")

    await asyncio.to_thread(control.replace, "ingest", [sys.executable, "-c", SERVER, str(free_port)])
    assert stand.supervisor.status()["ingest"]["replaced"]
    assert stand.pid("ingest") != normal
    await asyncio.to_thread(control.start, "ingest")

    status = await asyncio.to_thread(control.status)
    assert not status["processes"]["ingest"]["replaced"]
    assert status["processes"]["ingest"]["ready"]
    assert status["environment"]["LEGACY_URL"] == "http://127.0.0.1:1"
    assert not stand.said


async def test_what_control_kills_stays_dead_until_it_is_started(
    stand: Stand, control: Control, free_port: int
) -> None:
    await stand.supervisor.add(stand.program("legacy", SERVER, str(free_port), port=free_port))

    await asyncio.to_thread(control.kill, "legacy")
    assert stand.supervisor.status()["legacy"]["pid"] is None
    await asyncio.to_thread(control.start, "legacy")

    assert await conditions.port_open(free_port)()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["stop", "nobody"], "there is no process 'nobody'"),
        (["signal", "legacy", "FROWN"], "there is no signal 'FROWN'"),
        (["restart"], "unknown command or wrong number"),
    ],
)
async def test_a_control_command_that_makes_no_sense_is_refused_with_a_sentence(
    stand: Stand, control: Control, arguments: list[str], sentence: str
) -> None:
    await stand.supervisor.add(stand.program("legacy", "import time; time.sleep(600)"))

    command = [sys.executable, "-m", "embedded.control", "--socket", control.path, *arguments]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    _, told = await process.communicate()

    assert process.returncode == 1
    assert sentence in told.decode()


def test_nobody_answers_where_no_demo_runs(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="no demo answers"):
        Control(tmp_path / "control.sock").status()


def test_leftovers_of_a_killed_runner_are_ended_even_when_deaf(state_dir: Path) -> None:
    left = children.spawn([sys.executable, "-c", DEAF], log=state_dir / "deaf.log", cwd=state_dir)
    _wait_for_text(state_dir / "deaf.log", "deaf")
    records = Records(state_dir / "run")
    records.write("worker", left.pid)

    ended = records.end_leftovers(grace_seconds=0.2)

    assert ended == ["worker"]
    assert not _runs(left.pid)


def test_a_stranger_with_a_reused_number_is_left_alone(state_dir: Path, stranger: subprocess.Popen[bytes]) -> None:
    records = Records(state_dir / "run")
    records.write("worker", stranger.pid)
    path = state_dir / "run" / "worker.json"
    record = json.loads(path.read_text())
    assert record["started"] == identity(stranger.pid)
    path.write_text(json.dumps({**record, "started": identity(os.getpid())}))

    ended = records.end_leftovers(grace_seconds=0.2)

    assert ended == []
    assert stranger.poll() is None
    assert not path.exists()


RUNNER = """
import asyncio, os, sys
from pathlib import Path
from embedded.supervisor import Program, Supervisor

async def main():
    state = Path(sys.argv[1])
    supervisor = Supervisor(state, print)
    for name, source in (("deaf", sys.argv[2]), ("mild", "import time; time.sleep(600)")):
        await supervisor.add(Program(name, [sys.executable, "-c", source], dict(os.environ), state))
    print("up", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_after_kill_9_of_the_runner_the_next_start_finds_nothing_alive(state_dir: Path) -> None:
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(state_dir), DEAF], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert runner.stdout
    assert runner.stdout.readline() == "up\n"
    _wait_for_text(state_dir / "log" / "deaf.log", "deaf")
    pids = [json.loads(path.read_text())["pid"] for path in (state_dir / "run").glob("*.json")]
    assert len(pids) == 2

    runner.kill()
    runner.wait()
    Records(state_dir / "run").end_leftovers(grace_seconds=0.3)

    assert not [pid for pid in pids if _runs(pid)]


def test_a_second_runner_on_the_same_directory_is_refused_by_name(state_dir: Path) -> None:
    held = lock(state_dir)

    with pytest.raises(AlreadyRunning, match=rf"already runs on .*state \(process {os.getpid()}\)"):
        lock(state_dir)

    held.close()
    lock(state_dir).close()


def test_children_do_not_inherit_the_lock(state_dir: Path) -> None:
    held = lock(state_dir)
    child = children.spawn(["sleep", "600"], log=state_dir / "child.log", cwd=state_dir)
    try:
        held.close()
        lock(state_dir).close()
    finally:
        children.stop(child, signal.SIGKILL, seconds=5)


def _runs(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def _wait_for_text(path: Path, text: str) -> None:
    deadline = time.monotonic() + 20
    while not (path.exists() and text in path.read_text()):
        assert time.monotonic() < deadline, f"{text!r} did not appear in {path}"
        time.sleep(0.02)
