"""The live line of a running demo, from the door's own counters."""

import asyncio
import http.client
import re
import time

from embedded.ports import LOOPBACK
from embedded.supervisor import Supervisor

_FILTER = r"^http\..*(downstream_rq_2xx|downstream_rq_5xx|version_text)"


class LiveLine:
    """Asks Envoy's admin at `port`. Off a terminal the line holds nothing that changes all the time."""

    def __init__(self, port: int, supervisor: Supervisor, *, on_terminal: bool) -> None:
        self._port = port
        self._supervisor = supervisor
        self._on_terminal = on_terminal
        self._began = time.monotonic()
        self._last: tuple[float, int] | None = None

    async def text(self) -> str:
        """Return the line for now."""
        status = self._supervisor.status()
        down = [name for name, each in status.items() if not each["ready"]]
        parts = [f"{len(status) - len(down)} of {len(status)} processes run"]
        if down:
            parts.append(f"down: {', '.join(down)}")
        stats = await asyncio.to_thread(self._stats)
        version = re.search(r'rds\.[^:]*version_text: "([^"]*)"', stats)
        if version:
            parts.append(f"route {version[1]}")
        if self._on_terminal:
            parts += self._rates(stats)
        return " · ".join(parts)

    def _rates(self, stats: str) -> list[str]:
        total = sum(int(count) for count in re.findall(r"^http\.door\.downstream_rq_2xx: (\d+)", stats, re.MULTILINE))
        failed = sum(int(count) for count in re.findall(r"^http\.door\.downstream_rq_5xx: (\d+)", stats, re.MULTILINE))
        now = time.monotonic()
        rates = []
        if self._last is not None and now > self._last[0]:
            rates.append(f"{(total - self._last[1]) / (now - self._last[0]):.0f} answers/s at the robots' door")
        self._last = (now, total)
        minutes, seconds = divmod(int(now - self._began), 60)
        return [*rates, f"{failed} failed", f"up {minutes}:{seconds:02d}"]

    def _stats(self) -> str:
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=1)
        try:
            connection.request("GET", f"/stats?filter={_FILTER}")
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return ""  # Envoy is named among what is down
        finally:
            connection.close()
