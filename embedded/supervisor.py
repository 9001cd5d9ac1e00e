"""Runs named processes, restarts those that die and says so, stops all of them in reverse order."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGTERM, Signals
from subprocess import Popen
from typing import Any

from embedded import children, conditions
from embedded.errors import StartError
from embedded.leftovers import Records

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 10.0
#: a process that lived so long is well again: the next death is met with the first pause
HEALTHY_AFTER_SECONDS = 15.0
POLL_SECONDS = 0.05
LOG_LIMIT_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class Program:
    """What to run under a name, and how to know that it is ready."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    ready: conditions.Condition | None = None
    #: for what listens nowhere: ready when its output holds this
    says: str = ""
    ready_seconds: float = 60
    #: where it listens; a stand-in that replaces it is ready when this is open
    port: int | None = None
    uid: int | None = None
    stop_signal: Signals = SIGTERM
    grace_seconds: float = 8


@dataclass(slots=True)
class _Slot:
    """The life of one name: the program it has, what runs now, what is wanted."""

    normal: Program
    current: Program
    wanted: bool = True
    process: Popen[bytes] | None = None
    started_at: float = 0.0
    log_from: int = 0
    ready: bool = False
    restarts: int = 0
    keeper: asyncio.Task[None] | None = field(default=None, repr=False)


class Supervisor:
    """Keeps programs running. `say` gets one line for the console whenever something unexpected happens."""

    def __init__(self, state: Path, say: Callable[[str], None]) -> None:
        self.logs = state / "log"
        self.records = Records(state / "run")
        self._say = say
        self._slots: dict[str, _Slot] = {}

    # --- what the control socket offers --------------------------------------------------------
    async def add(self, program: Program) -> None:
        """Start a new program, wait until it is ready and keep it running; `StartError` if it ends or hangs."""
        slot = _Slot(normal=program, current=program)
        self._slots[program.name] = slot
        self._rotate_log(program.name)
        self._spawn(slot)
        await self._until_ready(slot)
        slot.keeper = asyncio.create_task(self._keep(slot), name=f"keep {program.name}")

    async def run(self, program: Program) -> str:
        """Run a program to its end and return what it printed; `StartError` with its last words if it fails."""
        slot = _Slot(normal=program, current=program)
        self._slots[program.name] = slot
        self._spawn(slot)
        while slot.process is not None and not _ended(slot.process):  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        code = self._reap(slot)
        del self._slots[program.name]
        if code:
            raise StartError(f"{program.name} failed ({_how(code)}): {self._last_words(slot)}")
        return self._output(slot)

    async def stop(self, name: str) -> None:
        """Stop `name` and leave it stopped."""
        await self._halt(self._slot(name), self._slot(name).current.stop_signal)

    async def kill(self, name: str) -> None:
        """Kill `name` with SIGKILL and leave it dead until `start`."""
        await self._halt(self._slot(name), SIGKILL)

    async def start(self, name: str) -> None:
        """Have `name` run its normal program and wait until it is ready; nothing happens if it does already."""
        slot = self._slot(name)
        if slot.process is not None and slot.wanted and slot.current is slot.normal:
            await self._until_ready(slot)
            return
        await self._run_instead(slot, slot.normal)

    async def restart(self, name: str) -> None:
        """Stop `name` and start its normal program."""
        slot = self._slot(name)
        await self._run_instead(slot, slot.normal)

    async def replace(self, name: str, argv: Sequence[str]) -> None:
        """Stop `name` and run `argv` under its name, with its environment, until `start` or `restart`."""
        slot = self._slot(name)
        port = slot.normal.port
        ready = None if port is None else conditions.port_open(port)
        await self._run_instead(slot, replace(slot.normal, argv=tuple(argv), ready=ready, says=""))

    def signal(self, name: str, wanted: Signals) -> None:
        """Send a signal to `name` and its group; one that dies of it is restarted like any other."""
        slot = self._slot(name)
        if slot.process is None:
            raise StartError(f"{name} does not run")
        os.killpg(slot.process.pid, wanted)

    def status(self) -> dict[str, dict[str, Any]]:
        """Return for every name its pid (None while it is down), restarts, readiness and whether it is replaced."""
        now = time.monotonic()
        return {
            name: {
                "pid": slot.process.pid if slot.process else None,
                "wanted": slot.wanted,
                "ready": slot.ready,
                "restarts": slot.restarts,
                "replaced": slot.current is not slot.normal,
                "up_seconds": round(now - slot.started_at, 1) if slot.process else None,
                "log": str(self._log(name)),
            }
            for name, slot in self._slots.items()
        }

    async def stop_all(self) -> None:
        """Stop everything, last started first."""
        for name in reversed(list(self._slots)):
            await self.stop(name)

    def kill_all(self) -> None:
        """Send SIGKILL to everything that still runs: for people who press Ctrl-C twice."""
        for slot in self._slots.values():
            slot.wanted = False
            if slot.process:
                os.killpg(slot.process.pid, SIGKILL)

    # --- one process ---------------------------------------------------------------------------
    def _slot(self, name: str) -> _Slot:
        if name not in self._slots:
            raise StartError(f"there is no process {name!r}; there are {', '.join(self._slots)}")
        return self._slots[name]

    def _spawn(self, slot: _Slot) -> None:
        program = slot.current
        log = self._log(program.name)
        slot.log_from = log.stat().st_size if log.exists() else 0
        try:
            slot.process = children.spawn(
                program.argv,
                log=log,
                cwd=program.cwd,
                env=program.env,
                uid=program.uid,
                on_parent_death=program.stop_signal,
            )
        except OSError as error:
            raise StartError(f"{program.name} could not be started: {error}") from error
        slot.started_at = time.monotonic()
        slot.ready = False
        self.records.write(program.name, slot.process.pid)

    async def _until_ready(self, slot: _Slot) -> None:
        program, process = slot.current, slot.process
        deadline = time.monotonic() + program.ready_seconds
        while not slot.ready:
            if process is None or _ended(process):
                raise StartError(f"{program.name} ended while starting: {self._last_words(slot)}")
            slot.ready = await self._is_ready(slot)
            if not slot.ready and time.monotonic() > deadline:
                raise StartError(
                    f"{program.name} was not ready after {program.ready_seconds:g} s: {self._last_words(slot)}"
                )
            await asyncio.sleep(0 if slot.ready else POLL_SECONDS)

    async def _is_ready(self, slot: _Slot) -> bool:
        program = slot.current
        return program.says in self._output(slot) and (program.ready is None or await program.ready())

    async def _run_instead(self, slot: _Slot, program: Program) -> None:
        await self._halt(slot, slot.current.stop_signal)
        slot.current, slot.wanted = program, True
        self._spawn(slot)
        try:
            await self._until_ready(slot)
        finally:
            slot.keeper = asyncio.create_task(self._keep(slot), name=f"keep {program.name}")

    async def _halt(self, slot: _Slot, wanted: Signals) -> None:
        slot.wanted = False
        if slot.keeper:
            slot.keeper.cancel()
            slot.keeper = None
        process = slot.process
        if process is not None:
            # Not Popen.send_signal: it would collect an ended process and so give its number away.
            os.kill(process.pid, wanted)
            os.kill(process.pid, SIGCONT)  # a stopped process cannot obey
            deadline = time.monotonic() + slot.current.grace_seconds
            while not _ended(process):
                if time.monotonic() > deadline:
                    self._say(f"{slot.current.name} did not stop within {slot.current.grace_seconds:g} s: killing it")
                    os.killpg(process.pid, SIGKILL)
                    deadline = float("inf")
                await asyncio.sleep(POLL_SECONDS)
            self._reap(slot)

    def _reap(self, slot: _Slot) -> int:
        """Collect an ended process, and kill what it left in its group while its number is still its own."""
        process = slot.process
        assert process is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing is left, or only itself
            os.killpg(process.pid, SIGKILL)
        code = process.wait()
        slot.process, slot.ready = None, False
        self.records.forget(slot.current.name)
        return code

    async def _keep(self, slot: _Slot) -> None:
        """Restart the process of `slot` whenever it dies, with growing pauses."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            # A child's end cannot be awaited portably without threads, which a fork must not meet.
            while slot.process is not None and not _ended(slot.process):
                if not slot.ready and await self._is_ready(slot):  # it needed longer than it was given
                    slot.ready = True
                    self._say(f"{slot.current.name} is running again, late (restart {slot.restarts})")
                await asyncio.sleep(POLL_SECONDS)
            if slot.process is not None:
                lived = time.monotonic() - slot.started_at
                pause = FIRST_PAUSE_SECONDS if lived > HEALTHY_AFTER_SECONDS else pause
                words = self._last_words(slot)
                code = self._reap(slot)
                self._say(f"{slot.current.name} died ({_how(code)}), restarting it in {pause:g} s. {words}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            slot.restarts += 1
            try:
                self._spawn(slot)
                await self._until_ready(slot)
            except StartError as error:
                self._say(f"{slot.current.name} is not back yet: {error}")
            else:
                seconds = time.monotonic() - slot.started_at
                self._say(f"{slot.current.name} is running again ({seconds:.1f} s, restart {slot.restarts})")

    def _last_words(self, slot: _Slot) -> str:
        return children.last_line(self._log(slot.current.name))

    def _output(self, slot: _Slot) -> str:
        """Return what the present process of `slot` has printed."""
        with self._log(slot.current.name).open("rb") as log:
            log.seek(slot.log_from)
            return log.read().decode(errors="replace")

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _rotate_log(self, name: str) -> None:
        log = self._log(name)
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))


def _ended(process: Popen[bytes]) -> bool:
    """Say whether it ended, leaving it uncollected: its number stays its own until `_reap`."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _how(code: int) -> str:
    return f"signal {Signals(-code).name}" if code < 0 else f"code {code}"
