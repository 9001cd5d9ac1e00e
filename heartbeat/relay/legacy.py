"""Telling legacy: straight to its own address, never through the robots' door."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from enum import StrEnum

import aiohttp
import structlog

from heartbeat.rules.relaying import Item

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 2.0
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0


class Said(StrEnum):
    """What legacy said to a heartbeat."""

    TAKEN = "taken"
    REFUSED = "refused"
    #: 5xx, or too slow: it may have taken it, and may be told again
    FAILED = "failed"
    UNREACHABLE = "unreachable"


class Legacy:
    """At most `connections` calls at once and `most_per_second` a second; one at a time while it fails."""

    def __init__(self, url: str, *, connections: int = 16, most_per_second: float = 500.0) -> None:
        self.url = f"{url.rstrip('/')}/api/robot/status"
        self.connections = connections
        self.silent_since: datetime | None = None
        self._between_seconds = 1.0 / most_per_second
        self._free_at = 0.0
        self._pause_seconds = SHORTEST_PAUSE_SECONDS
        self._paused_until = 0.0
        self._alone = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Legacy":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.connections),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold this while choosing and telling. While legacy fails one call at a time tries it, later each time."""
        if self.silent_since is None:
            yield
            return
        async with self._alone:
            await asyncio.sleep(self._paused_until - asyncio.get_running_loop().time())
            yield

    async def tell(self, item: Item) -> Said:
        """Send one heartbeat, as soon as the rate allows, and return what legacy said. Notes when, on the item."""
        now = asyncio.get_running_loop().time()
        mine = max(self._free_at, now)
        self._free_at = mine + self._between_seconds
        await asyncio.sleep(mine - now)
        return await self._tell(item)

    async def _tell(self, item: Item) -> Said:
        assert self._session is not None
        item.sent_at = datetime.now(UTC)
        try:
            async with self._session.post(self.url, json=dict(item.body)) as answer:
                content = await answer.read()
                said = _said(answer.status, content)
        except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError):
            said = Said.UNREACHABLE
        except (aiohttp.ClientError, TimeoutError, OSError):
            said = Said.FAILED
        self._learn(said, item)
        return said

    def _learn(self, said: Said, item: Item) -> None:
        now = datetime.now(UTC)
        if said in (Said.TAKEN, Said.REFUSED):
            item.acknowledged_at = now
            if self.silent_since is not None:
                log.info("relay.legacy_answers", silent_seconds=round((now - self.silent_since).total_seconds(), 1))
            self.silent_since, self._pause_seconds, self._paused_until = None, SHORTEST_PAUSE_SECONDS, 0.0
            return
        item.attempts += said is Said.FAILED
        if self.silent_since is None:
            self.silent_since = now
            log.warning("relay.legacy_fails", how=said.value)
        self._paused_until = asyncio.get_running_loop().time() + self._pause_seconds * random.uniform(0.5, 1.0)
        self._pause_seconds = min(LONGEST_PAUSE_SECONDS, self._pause_seconds * 2)


def _said(status: int, content: bytes) -> Said:
    if status == 200 and b'"updated"' in content:
        return Said.TAKEN
    return Said.REFUSED if 400 <= status < 500 and status not in (408, 429) else Said.FAILED
