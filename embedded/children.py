"""Child processes: how they are started, recognised and stopped."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from embedded.errors import StartError

#: PostgreSQL: end sessions, write everything, stop
FAST_SHUTDOWN = signal.SIGINT
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(wanted: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """Return a `preexec_fn` that has the kernel send `wanted` to the child when its parent dies, however it dies.

    The kernel means the parent *thread*: start children from one that lives as long as they should. Linux only;
    elsewhere the records in `embedded.leftovers` must do.
    """
    parent = os.getpid()

    def prepare() -> None:
        if _libc is None:
            return
        _libc.prctl(_PR_SET_PDEATHSIG, int(wanted))
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return prepare


def as_account(uid: int | None) -> dict[str, Any]:
    """Return the `Popen` arguments that run a child as `uid` with no other rights; none for our own account."""
    return {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    uid: int | None = None,
    on_parent_death: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start `argv` in a session of its own, its output appended to `log`; it dies with the calling thread."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env=env,
            start_new_session=True,
            # Unsafe only when another thread holds a lock at the fork: ours calls two system calls, imports nothing.
            preexec_fn=die_with_parent(on_parent_death),  # noqa: PLW1509
            **as_account(uid),
        )


def wait_until(
    is_ready: Callable[[], bool], process: subprocess.Popen[bytes], name: str, log: Path, seconds: float
) -> None:
    """Poll `is_ready` until true; `StartError` with the log's last line if the process ends or time is up."""
    deadline = time.monotonic() + seconds
    while not is_ready():
        if process.poll() is not None:
            raise StartError(f"{name} ended while starting (code {process.returncode}): {last_line(log)}")
        if time.monotonic() > deadline:
            stop(process, signal.SIGTERM, seconds=5)
            raise StartError(f"{name} was not ready after {seconds:g} s: {last_line(log)}")
        time.sleep(0.02)


def stop(process: subprocess.Popen[bytes], wanted: signal.Signals, seconds: float) -> None:
    """Send `wanted`, then SIGKILL to its whole group when `seconds` have passed."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(wanted)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def stop_stranger(process: psutil.Process, wanted: signal.Signals, seconds: float) -> None:
    """Stop a process that is not our child; psutil makes sure that its number was not given to another."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(wanted)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(seconds)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(5)


def working_in(directory: Path, program: str) -> Iterator[psutil.Process]:
    """Yield the processes named `program` whose working directory is `directory`, oldest first.

    The name matters: somebody may be looking around there with a shell.
    """
    wanted = str(directory.resolve())
    for process in sorted(psutil.process_iter(), key=lambda each: each.pid):
        with contextlib.suppress(psutil.Error):
            if process.name() == program and process.cwd() == wanted:
                yield process


def last_line(log: Path) -> str:
    """Return the last line that says something, or where to look."""
    with contextlib.suppress(OSError):
        lines = [line for line in log.read_text(errors="replace").splitlines()[-20:] if line.strip()]
        if lines:
            return f"{lines[-1]} (more in {log})"
    return f"nothing in {log}"
