"""Look at the robot a few times a second, tell what changed at once and the rest now and then."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from lekiwi_agent._version import VERSION
from lekiwi_agent.describing import changed, operated, teleop, unseen
from lekiwi_agent.following import Following, follow
from lekiwi_agent.kernel import Kernel
from lekiwi_agent.layouts import Layout
from lekiwi_agent.processes import Processes
from lekiwi_agent.seen import Look, Sockets
from lekiwi_agent.units import Units

log = logging.getLogger("lekiwi_agent")

LOOK_SECONDS = 0.2
#: while somebody operates, a report goes out at least this often
OPERATED_SECONDS = 0.5
#: a look that is older is no report
STALE_SECONDS = 5.0


class Agent:
    """Watches one robot. `tell(signal)` is called for each report that should not wait for a heartbeat."""

    def __init__(
        self,
        layout: Layout,
        *,
        tell: Callable[[dict[str, Any]], None] = lambda signal: None,
        report_seconds: float = 5.0,
        look_seconds: float = LOOK_SECONDS,
        kernel: Kernel | None = None,
        processes: Processes | None = None,
        units: Units | None = None,
    ) -> None:
        """`report_seconds`: how often a report is made when nothing happens."""
        self._layout = layout
        self._tell = tell
        self._report_seconds = report_seconds
        self._look_seconds = look_seconds
        self._kernel = kernel or Kernel()
        self._processes = processes or Processes(layout.host_programs)
        self._units = units or Units(layout.units)
        self._following = Following()
        self._latest: Look | None = None
        self._told: dict[str, Any] | None = None
        self._told_at = float("-inf")
        self._told_unseen: dict[str, str] = {}
        self._lock = threading.Lock()

    def run(self, stopping: threading.Event) -> None:
        """Look until `stopping` is set."""
        self._units.start()
        try:
            while not stopping.is_set():
                began = time.monotonic()
                self.look()
                stopping.wait(max(0.01, self._look_seconds - (time.monotonic() - began)))
        finally:
            self._units.stop()
            self._kernel.close()

    def look(self) -> dict[str, Any]:
        """Look once, tell what should be told, and return the report."""
        look = self._see()
        with self._lock:
            self._following = follow(self._following, look, self._layout)
            self._latest = look
        self._log_unseen(unseen(look, self._layout))
        said = self._report(look)
        if changed(self._told, said, self._layout) or look.at - self._told_at >= said["next_in_ms"] / 1000:
            self._told, self._told_at = said, look.at
            self._tell(said)
        return said

    def heartbeat(self) -> dict[str, Any]:
        """Fields of a heartbeat: the latest look and what it could not see. A look that is stale is not told."""
        with self._lock:
            look = self._latest
        if look is None or boot_seconds() - look.at > STALE_SECONDS:
            return {"extra": {"agent": {"version": VERSION, "unseen": {"teleop": "the agent does not look"}}}}
        return {
            "teleop": self._report(look),
            "services": {"teleop": look.service},
            "extra": {"agent": {"version": VERSION, "unseen": unseen(look, self._layout)}},
        }

    def _report(self, look: Look) -> dict[str, Any]:
        said = teleop(look, self._following, self._layout, self._report_seconds)
        if operated(said, self._layout):
            said["next_in_ms"] = min(said["next_in_ms"], OPERATED_SECONDS * 1000)
        return said

    def _see(self) -> Look:
        sockets, missing = self._kernel.read(self._layout.ports)
        # Taken after the kernel answered: what it dates is late by less than the answer took.
        at = boot_seconds()
        host = self._processes.host(_inodes(sockets, self._layout))
        service = self._units.service
        if host is None and (hidden := self._processes.hidden()):
            missing["host"] = hidden
        if service.because:
            missing["service"] = service.because
        return Look(at, sockets, host, "host" not in missing, service.word, missing)

    def _log_unseen(self, missing: dict[str, str]) -> None:
        """Once for each change, not with every look."""
        for what, why in missing.items():
            if self._told_unseen.get(what) != why:
                log.warning("cannot see %s: %s", what, why)
        for what in self._told_unseen.keys() - missing.keys():
            log.info("can see %s now", what)
        self._told_unseen = missing


def boot_seconds() -> float:
    """Seconds since the machine's start, by a clock that nobody sets and that counts while it sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _inodes(sockets: Sockets | None, layout: Layout) -> frozenset[int]:
    listeners = sockets.listeners if sockets else ()
    return frozenset(each.inode for each in listeners if each.inode and each.port in layout.command_ports)
