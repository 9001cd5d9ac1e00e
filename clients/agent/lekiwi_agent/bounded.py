"""Run an external command that may hang, be missing or talk without end, and be back in time."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence

MOST_BYTES = 1 << 20


class CommandFailed(OSError):
    """It is missing, took too long, said too much or exited with an error: the sentence tells which."""


def run(arguments: Sequence[str], seconds: float, most_bytes: int = MOST_BYTES) -> str:
    """What it printed. Raises CommandFailed within about `seconds`."""
    name = arguments[0]
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,
        )
    except OSError as error:
        raise CommandFailed(f"{name}: {error.strerror or error}") from error
    assert process.stdout is not None
    try:
        with process.stdout:
            output = _read(process.stdout.fileno(), name, time.monotonic() + seconds, most_bytes)
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"{name}: does not end") from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # with what it started
            process.wait()
    if code != 0:
        raise CommandFailed(f"{name}: exits with {code}")
    return output.decode(errors="replace")


def _read(pipe: int, name: str, deadline: float, most_bytes: int) -> bytes:
    read = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise CommandFailed(f"{name}: took longer than it may")
            piece = os.read(pipe, 65_536)
            if not piece:
                return bytes(read)
            read += piece
            if len(read) > most_bytes:
                raise CommandFailed(f"{name}: says more than {most_bytes} bytes")
