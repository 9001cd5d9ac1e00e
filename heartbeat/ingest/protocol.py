"""Uvicorn's HTTP protocol, with head and body of an answer in one write.

Uvicorn writes them one after the other. A process that is killed in between has begun an answer, so the robots' door
can no longer ask the other system: one in several thousand robots saw it when `new` was killed under load. It also
halves the system calls.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class JoinedTransport:
    """A transport that gathers what is written in one turn of the event loop. Everything else is the real one's."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._gathered: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send with whatever else is written before the loop comes round."""
        if not self._gathered:
            self._loop.call_soon(self._flush)
        self._gathered.append(data)

    def close(self) -> None:
        """Send what was gathered, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._transport.write(b"".join(gathered))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class JoinedWrites(HttpToolsProtocol):
    """`uvicorn --http heartbeat.ingest.protocol:JoinedWrites`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wrap the transport before anything is written to it."""
        super().connection_made(JoinedTransport(transport, self.loop))  # type: ignore[arg-type]
