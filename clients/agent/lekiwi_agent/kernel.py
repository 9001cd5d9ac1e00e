"""Ask the kernel which connections stand: by netlink, else by `ss`, else from /proc/net/tcp, which knows no times.

Nothing here opens a socket on the robot's ports: a reader would take the operator's frames, a writer would drive.
"""

import contextlib
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lekiwi_agent import bounded, diag_bytes, proc_text, ss_text
from lekiwi_agent.seen import Connection, Listener, Sockets

log = logging.getLogger("lekiwi_agent")

NETLINK_SECONDS = 0.5
SS_SECONDS = 1.0
#: a way that failed is tried again after this
AGAIN_AFTER_SECONDS = 60.0
_SOCK_DIAG = 4
_AT_MOST_PER_READ = 1 << 16


class Netlink:
    """The kernel's socket monitoring, asked directly."""

    name = "netlink"

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._sequence = 0

    def read(self, ports: frozenset[int]) -> Sockets:
        """Raises OSError."""
        connections: list[Connection] = []
        listeners: list[Listener] = []
        try:
            for family in diag_bytes.FAMILIES:
                for port in sorted(ports):
                    found = self._ask(family, port)
                    connections += found.connections
                    listeners += found.listeners
        except OSError:
            self.close()
            raise
        return Sockets(tuple(connections), tuple(listeners))

    def close(self) -> None:
        """Close the netlink socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self, family: int, port: int) -> Sockets:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG)
            self._socket.settimeout(NETLINK_SECONDS)
        self._sequence += 1
        self._socket.send(diag_bytes.request(family, port, self._sequence))
        connections: list[Connection] = []
        listeners: list[Listener] = []
        deadline = time.monotonic() + NETLINK_SECONDS
        while time.monotonic() < deadline:
            found, is_last = diag_bytes.read_answer(self._socket.recv(_AT_MOST_PER_READ), self._sequence)
            connections += found.connections
            listeners += found.listeners
            if is_last:
                return Sockets(tuple(connections), tuple(listeners))
        raise TimeoutError("netlink: the answer does not end")


class Ss:
    """The command `ss` of iproute2."""

    name = "ss"

    def __init__(self, command: str = "ss") -> None:
        self._command = command

    def read(self, ports: frozenset[int]) -> Sockets:
        """Raises OSError."""
        which = " or ".join(f"sport = :{port}" for port in sorted(ports))
        wish = ["-tineH", "state", "established", "state", "listening", f"( {which} )"]
        found = ss_text.read_sockets(bounded.run([self._command, *wish], SS_SECONDS))
        return _only(found, ports)

    def close(self) -> None:
        """Nothing is held."""


class ProcNet:
    """/proc/net/tcp: that connections stand, and nothing of when data came."""

    name = "/proc/net/tcp"

    def __init__(self, root: Path = Path("/proc")) -> None:
        self._files = (root / "net/tcp", root / "net/tcp6")

    def read(self, ports: frozenset[int]) -> Sockets:
        """Raises OSError."""
        first = proc_text.read_net_tcp(self._files[0].read_text(), ports)
        with contextlib.suppress(FileNotFoundError):  # IPv6 is switched off
            second = proc_text.read_net_tcp(self._files[1].read_text(), ports)
            return Sockets(first.connections + second.connections, first.listeners + second.listeners)
        return first

    def close(self) -> None:
        """Nothing is held."""


Way = Netlink | Ss | ProcNet


@dataclass(slots=True)
class _Tried:
    way: Way
    not_before: float = float("-inf")
    because: str = ""


class Kernel:
    """The best way that works; a better one that failed is tried again now and then."""

    def __init__(self, ways: tuple[Way, ...] | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._tried = [_Tried(way) for way in (ways if ways is not None else (Netlink(), Ss(), ProcNet()))]
        self._now = now

    def read(self, ports: frozenset[int]) -> tuple[Sockets | None, dict[str, str]]:
        """The sockets of these ports (None: no way works) and what cannot be seen → why."""
        if not ports:
            return Sockets(), {}
        for tried in self._tried:
            if self._now() < tried.not_before:
                continue
            try:
                found = tried.way.read(ports)
            except (OSError, ValueError) as error:
                tried.not_before, tried.because = self._now() + AGAIN_AFTER_SECONDS, f"{error}"
                log.warning("%s does not tell of connections: %s", tried.way.name, error)
                continue
            return found, self._unseen(found, tried)
        return None, {"connections": "; ".join(self._reasons())}

    def close(self) -> None:
        """Close what is open."""
        for tried in self._tried:
            tried.way.close()

    def _unseen(self, found: Sockets, by: _Tried) -> dict[str, str]:
        if isinstance(by.way, ProcNet):
            return {"commands": f"{by.way.name} knows no times ({'; '.join(self._reasons())})"}
        if any(each.received_age_ms is None for each in found.connections):
            return {"commands": f"{by.way.name} tells no times of a connection"}
        return {}

    def _reasons(self) -> list[str]:
        return [f"{each.way.name}: {each.because}" for each in self._tried if self._now() < each.not_before]


def _only(found: Sockets, ports: frozenset[int]) -> Sockets:
    return Sockets(
        tuple(each for each in found.connections if each.port in ports),
        tuple(each for each in found.listeners if each.port in ports),
    )
