"""A system that answers what it is told and remembers what it heard: `python -m tests.migration.stub_system NAME`.

It prints two ports as JSON, one for its callers and one for the test that controls it. Standard library only, so it
starts quickly; a process of its own, so that it can be killed and stopped.
"""

import asyncio
import contextlib
import hashlib
import json
import sys
from dataclasses import dataclass, field
from typing import Any

#: bodies up to this many bytes are kept as text
KEPT = 4_000


@dataclass
class Behaviour:
    """What is answered: to every call, or by path."""

    status: int = 200
    delay_seconds: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    #: robots whose heartbeats are answered with 500, by how their id begins
    failing: str = ""
    #: pieces of a download, and the pause before each but the first
    pieces: int = 1
    pause_seconds: float = 0.0
    healthy: bool = True


class Stub:
    """One stub system."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.behaviour = Behaviour()
        self.heard: list[dict[str, Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the calls of one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while (request := await _read(reader)) is not None:
                if "websocket" in request["headers"].get("upgrade", ""):
                    await self._echo(request, reader, writer)
                    return
                await self._answer(request, writer)
        writer.close()

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the test: GET what was heard, PUT a behaviour, DELETE what was heard."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while (request := await _read(reader)) is not None:
                if request["method"] == "PUT":
                    self.behaviour = Behaviour(**json.loads(request["text"]))
                elif request["method"] == "DELETE":
                    self.heard.clear()
                body = json.dumps(self.heard).encode() if request["method"] == "GET" else b"[]"
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
                await writer.drain()
        writer.close()

    async def _answer(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        told = self.behaviour
        path = request["path"].partition("?")[0]
        if path == "/health":
            status = 200 if told.healthy else 503
        else:
            if told.delay_seconds:
                await asyncio.sleep(told.delay_seconds)
            status = told.statuses.get(path, told.status)
            if told.failing and json.loads(request["text"])["robot_id"].startswith(told.failing):
                status = 500
            self.heard.append({**request, "status": status})
        if path.startswith("/api/download/") and status == 200:
            await self._send_package(told, writer)
            return
        body = json.dumps({"system": self.name, "status": "updated"}).encode()
        head = f"HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\nserver: stub\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    async def _send_package(self, told: Behaviour, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (1000 * told.pieces))
        for piece in range(told.pieces):
            if piece:
                await asyncio.sleep(told.pause_seconds)
            writer.write(b"p" * 1000)
            await writer.drain()

    async def _echo(self, request: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append({**request, "status": 101})
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.close()


async def _read(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return {
        "method": method,
        "path": path,
        "headers": headers,
        "text": body.decode("latin-1") if len(body) <= KEPT else None,
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return body


async def main(name: str, port: int) -> None:
    """Serve until killed. Port 0 means any."""
    stub = Stub(name)
    calls = await asyncio.start_server(stub.serve, "127.0.0.1", port, limit=1 << 20, backlog=1024)
    control = await asyncio.start_server(stub.control, "127.0.0.1", 0, limit=1 << 20)
    ports = [server.sockets[0].getsockname()[1] for server in (calls, control)]
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
