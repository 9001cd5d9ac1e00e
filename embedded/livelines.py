"""The live line of a running demo, from the door's own counters."""

import asyncio
import http.client
import re
import time
from dataclasses import dataclass

from embedded.ports import LOOPBACK
from embedded.supervisor import Supervisor

#: what was asked at the robots' door, by who answered and how
_CALL = re.compile(r"^envoy_robots_rq\{(?P<tags>[^}]*)\} (?P<count>\d+)", re.MULTILINE)
_ROUTE = re.compile(r'rds\.[^:]*version_text: "([^"]*)"')


@dataclass(frozen=True, slots=True)
class Calls:
    """Robots' calls since Envoy started."""

    at: float
    all: int
    by_new: int
    failed: int


class LiveLine:
    """Asks Envoy's admin at `port`. Off a terminal the line holds nothing that changes all the time."""

    def __init__(self, port: int, supervisor: Supervisor, *, on_terminal: bool) -> None:
        self._port = port
        self._supervisor = supervisor
        self._on_terminal = on_terminal
        self._began = time.monotonic()
        self._last: Calls | None = None

    async def text(self) -> str:
        """Return the line for now."""
        status = self._supervisor.status()
        down = [name for name, each in status.items() if not each["ready"]]
        parts = [f"{len(status) - len(down)} of {len(status)} processes run"]
        if down:
            parts.append(f"down: {', '.join(down)}")
        if route := _ROUTE.search(await asyncio.to_thread(self._ask, "/stats?filter=rds.*version_text")):
            parts.append(f"route {route[1]}")
        if self._on_terminal:
            calls = read_calls(await asyncio.to_thread(self._ask, "/stats/prometheus?usedonly&filter=robots"))
            parts += [*rates(self._last, calls), f"up {_clock(time.monotonic() - self._began)}"]
            self._last = calls
        return " · ".join(parts)

    def _ask(self, path: str) -> str:
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return ""  # Envoy is named among what is down
        finally:
            connection.close()


def read_calls(exposition: str) -> Calls:
    """Sum the door's counters from their Prometheus text."""
    total = by_new = failed = 0
    for match in _CALL.finditer(exposition):
        count, tags = int(match["count"]), match["tags"]
        if 'owner=""' in tags:  # the watchdog's probes and operators' calls
            continue
        total += count
        by_new += count if 'answered="new"' in tags else 0
        failed += count if re.search(r'code="(5\d\d|0)"', tags) else 0
    return Calls(time.monotonic(), total, by_new, failed)


def rates(before: Calls | None, now: Calls) -> list[str]:
    """Say how many calls a second, what share of them the new system answered, and how many ever failed."""
    told = []
    if before is not None and now.all > before.all and now.at > before.at:
        new = now.all - before.all
        told.append(f"robots call {new / (now.at - before.at):.0f}/s")
        told.append(f"{100 * (now.by_new - before.by_new) / new:.0f} % answered by new")
    return [*told, f"{now.failed} failed"]


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
