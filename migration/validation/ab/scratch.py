"""Scratch copies for calls with effects: given by their addresses, or started by a configured command each."""

import os
import select
import shlex
import signal
import subprocess
import time
from types import TracebackType

from django.conf import settings

from migration.validation.reading import Unreadable

START_SECONDS = 60.0


class Scratch:
    """A pair of scratch systems for as long as the block lasts; None where there is none, and `why_not` says why.

    A command prints one line that ends with the address it listens on, and stops with SIGTERM. That of `new` finds the
    scratch legacy in `LEGACY_URL` and takes over its deployments.
    """

    def __init__(self, legacy_url: str = "", new_url: str = "") -> None:
        self._urls = [legacy_url, new_url]
        self._commands = [settings.SCRATCH_LEGACY_COMMAND, settings.SCRATCH_NEW_COMMAND]
        self._running: list[subprocess.Popen[str]] = []
        self.why_not = ""

    def __enter__(self) -> tuple[str, str] | None:
        for place, name in enumerate(("legacy", "new")):
            if not self._urls[place] and not self._commands[place]:
                self.why_not = (
                    f"no scratch copy of {name}: give --scratch-{name} URL, or set SCRATCH_{name.upper()}_COMMAND"
                )
                return None
        try:
            for place, name in enumerate(("legacy", "new")):
                self._urls[place] = self._urls[place] or self._start(name, self._commands[place])
        except Unreadable:
            self._stop()
            raise
        return self._urls[0], self._urls[1]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self, name: str, command: str) -> str:
        environment = {**os.environ, "LEGACY_URL": self._urls[0] or settings.LEGACY_URL}
        process = subprocess.Popen(
            shlex.split(command), stdout=subprocess.PIPE, text=True, env=environment, cwd=settings.BASE_DIR
        )
        self._running.append(process)
        said = _line(process)
        if not said.split()[-1:] or not said.split()[-1].startswith("http://"):
            raise Unreadable(f"the scratch copy of {name} did not say where it listens, but {said!r}: {command}")
        return said.split()[-1]

    def _stop(self) -> None:
        for process in reversed(self._running):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()
        self._running.clear()


def _line(process: "subprocess.Popen[str]") -> str:
    """The first line that a process says, or what it said when it ended or the time was up."""
    assert process.stdout is not None
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 0.1)[0]:
            return process.stdout.readline().strip()
    return ""
