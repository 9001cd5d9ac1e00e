"""HTTP/1.1 to the door, as lean as one core needs for 2,000 robots: raw bytes out, a C parser in, a pool between."""

import asyncio
import time
from typing import cast
from urllib.parse import urlsplit

import httptools
from lekiwi_heartbeat.answers import retry_after_in

from simulator.ledger import STOPPED, Exchange

# Servers close idle connections after some seconds; one that rested longer is not trusted.
MOST_IDLE_SECONDS = 3.0
NO_REPLY = "reset"


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.parser = httptools.HttpResponseParser(self)
        self.waiter: asyncio.Future[str | None] | None = None
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.rests_since = 0.0
        self.heard = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's callback."""
        # uvloop's transports fulfil asyncio.Transport without inheriting from it.
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's callback: whoever waits gets no answer."""
        self.end(NO_REPLY)

    def data_received(self, data: bytes) -> None:
        """Asyncio's callback."""
        self.heard = True
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.end("malformed")
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser's callback."""
        self.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """The parser's callback."""
        self.body += body

    def on_message_complete(self) -> None:
        """The parser's callback: the answer is whole."""
        if 100 <= self.parser.get_status_code() < 200:
            return
        self.end(None)

    def begin(self, request: bytes) -> "asyncio.Future[str | None]":
        """Send; the future gets None when the answer is whole, else the error's name."""
        self.headers, self.body, self.heard = {}, b"", False
        self.waiter = asyncio.get_running_loop().create_future()
        self.write(request)
        return self.waiter

    def write(self, data: bytes) -> None:
        """Send more of the request."""
        if self.transport is None or self.transport.is_closing():
            self.end(NO_REPLY)
        else:
            self.transport.write(data)

    def expire(self) -> None:
        """The robot's patience is over."""
        self.end("timeout")
        self.close()

    def close(self) -> None:
        """Drop the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    @property
    def usable(self) -> bool:
        """May the next request go over it?"""
        return (
            self.transport is not None
            and not self.transport.is_closing()
            and time.monotonic() - self.rests_since < MOST_IDLE_SECONDS
        )

    def end(self, error: str | None) -> None:
        """Tell whoever waits for an answer how it ended; the first word counts."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(error)


class Door:
    """The address robots know. `stale_connections` counts requests sent again because a resting connection was gone.

    With `side` every legacy call is marked as the robots' door marks it: `new` takes none without, so this is for
    measuring what the door is good for.
    """

    def __init__(self, url: str, side: str | None = None) -> None:
        where = urlsplit(url)
        if where.scheme != "http" or not where.hostname or where.path not in ("", "/"):
            raise ValueError(f"the door is an address like http://127.0.0.1:8080, not {url!r}")
        self.host, self.port = where.hostname, where.port or 80
        self.host_header = where.netloc
        self.legacy_headers = f"Host: {where.netloc}\r\n" + (f"x-side: {side}\r\n" if side else "")
        self.stale_connections = 0
        self._resting: list[Connection] = []
        self._busy: set[Connection] = set()

    async def exchange(
        self, request: bytes, timeout_seconds: float, rest: bytes = b"", pause_seconds: float = 0.0
    ) -> Exchange:
        """Send `request` and return what came of it. A slow link sends `rest` only after `pause_seconds`.

        Never raises for what the network or the server does: that is the exchange's outcome.
        """
        exchange = Exchange(time.monotonic(), time.time())
        try:
            await self._try(exchange, request, timeout_seconds, rest, pause_seconds)
        except (TimeoutError, ConnectionRefusedError) as error:
            exchange.outcome = "timeout" if isinstance(error, TimeoutError) else "refused"
        except OSError as error:
            exchange.outcome = type(error).__name__
        exchange.latency_ms = (time.monotonic() - exchange.sent) * 1000
        return exchange

    def close(self) -> None:
        """Drop every connection; requests still under way end as `stopped`."""
        for connection in self._busy:
            connection.end(STOPPED)
        for connection in [*self._busy, *self._resting]:
            connection.close()
        self._resting.clear()

    async def _try(
        self, exchange: Exchange, request: bytes, timeout_seconds: float, rest: bytes, pause_seconds: float
    ) -> None:
        connection, fresh = await self._connection(timeout_seconds)
        error = await self._converse(connection, request, timeout_seconds, rest, pause_seconds)
        if error == NO_REPLY and not fresh and not connection.heard:
            # Real robots open a connection for each call, so a pool's stale connection is not theirs to suffer.
            self.stale_connections += 1
            connection = await self._connect(timeout_seconds)
            error = await self._converse(connection, request, timeout_seconds, rest, pause_seconds)
        if error is not None:
            exchange.outcome = error
            return
        exchange.outcome = connection.parser.get_status_code()
        exchange.answered_by = _text(connection.headers.get(b"x-answered-by"))
        exchange.request_id = _text(connection.headers.get(b"x-request-id"))
        exchange.body = connection.body
        exchange.retry_after_seconds = retry_after_in(_text(connection.headers.get(b"retry-after")))
        self._rest(connection)

    async def _converse(
        self, connection: Connection, request: bytes, timeout_seconds: float, rest: bytes, pause_seconds: float
    ) -> str | None:
        self._busy.add(connection)
        waiter = connection.begin(request)
        if rest:
            await asyncio.sleep(pause_seconds)
            connection.write(rest)
        alarm = asyncio.get_running_loop().call_later(timeout_seconds, connection.expire)
        try:
            return await waiter
        finally:
            alarm.cancel()
            self._busy.discard(connection)

    async def _connection(self, timeout_seconds: float) -> tuple[Connection, bool]:
        while self._resting:
            connection = self._resting.pop()
            if connection.usable:
                return connection, False
            connection.close()
        return await self._connect(timeout_seconds), True

    async def _connect(self, timeout_seconds: float) -> Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout_seconds):
            _, connection = await loop.create_connection(Connection, self.host, self.port)
        return connection

    def _rest(self, connection: Connection) -> None:
        if connection.parser.should_keep_alive():
            connection.rests_since = time.monotonic()
            self._resting.append(connection)
        else:
            connection.close()


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
