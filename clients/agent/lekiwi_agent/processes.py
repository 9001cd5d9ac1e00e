"""Find the host program in /proc: by its name, else as the owner of the socket that listens."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from lekiwi_agent.proc_text import read_arguments, read_stat, runs
from lekiwi_agent.seen import Process

PROC = Path("/proc")
#: a whole walk through /proc is not made more often, unless the host has just ended
WALK_SECONDS = 2.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Processes:
    """Remembers the host, so that most looks read one small file."""

    def __init__(self, programs: Iterable[str], root: Path = PROC, now: Callable[[], float] = time.monotonic) -> None:
        self._programs = tuple(programs)
        self._root = root
        self._now = now
        self._known: Process | None = None
        self._walk_at = float("-inf")
        self._inodes: frozenset[int] = frozenset()

    def host(self, listening_inodes: frozenset[int] = frozenset()) -> Process | None:
        """The host, if it is in sight."""
        had = self._known
        if had is not None:
            self._known = self._again(had)
        ended = had is not None and self._known is None
        is_new = listening_inodes != self._inodes
        if self._known is None and (ended or is_new or self._now() >= self._walk_at):
            self._known = self._walk(listening_inodes)
            self._walk_at, self._inodes = self._now() + WALK_SECONDS, listening_inodes
        return self._known

    def hidden(self) -> str | None:
        """Why a host that runs might not be found, None if it would be."""
        if not self._programs:
            return "the layout names no program"
        try:
            seen = (self._root / "1/stat").exists()
        except PermissionError:
            seen = False
        return None if seen else "/proc hides the processes of others (hidepid)"

    def _again(self, had: Process) -> Process | None:
        now = self._read(had.pid)
        return now if now is not None and now.started_s == had.started_s and now.arguments else None

    def _walk(self, inodes: frozenset[int]) -> Process | None:
        listening: Process | None = None
        for pid in self._pids():
            if pid == os.getpid() or (process := self._read(pid)) is None or not process.arguments:
                continue
            if runs(process.arguments, self._programs):
                return process
            if listening is None and inodes and self._listens(pid, inodes):
                listening = process
        return listening

    def _pids(self) -> list[int]:
        return sorted(int(name) for name in os.listdir(self._root) if name.isdecimal())

    def _read(self, pid: int) -> Process | None:
        """The process, None when it has ended or is another's secret."""
        directory = self._root / str(pid)
        try:
            state, ticks = read_stat((directory / "stat").read_bytes().decode(errors="replace"))
            return Process(pid, state, ticks / _TICKS, read_arguments((directory / "cmdline").read_bytes()))
        except (OSError, ValueError):
            return None

    def _listens(self, pid: int, inodes: frozenset[int]) -> bool:
        """Whether it holds one of these sockets; only its own user and CAP_SYS_PTRACE may look."""
        wanted = {f"socket:[{inode}]" for inode in inodes}
        try:
            with os.scandir(self._root / str(pid) / "fd") as descriptors:
                return any(os.readlink(each.path) in wanted for each in descriptors)
        except OSError:
            return False
