"""`python -m simulator.failing`: a stand-in that takes a system's place and fails it in one chosen way.

It answers everything, or an even share of it, with one status, at once, late or never, and counts what it was asked by
call. `POST /_sim/share/0.05` changes the share while it runs; the rest is answered as by a system that is well.
"""

import argparse
import asyncio
import json
import signal
import sys
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast

import httptools
import uvloop

COUNT_CALL = "GET /_sim/count"
SHARE_CALL = "POST /_sim/share/"
# Enough for the contract's calls; ids in paths must not let the table grow without end.
MOST_CALLS = 500


@dataclass(slots=True)
class Conduct:
    """How the stand-in behaves, and what it has been asked so far.

    `mode`: "status" answers at once, "slow" after `slow_seconds`, "hang" never. `healthy` answers GET /health with 200
    whatever the mode, so that health checks see nothing wrong. `share` of the calls fail, evenly spread. `answered_by`
    makes it look like a system behind the robots' door: its name and a fresh request id in the headers.
    """

    status: int = 500
    mode: str = "status"
    slow_seconds: float = 2.0
    healthy: bool = False
    answered_by: str | None = None
    share: float = 1.0
    calls: Counter[str] = field(default_factory=Counter)
    _due: float = 0.0

    def count(self, call: str) -> None:
        """Note one call, by method and path without its query."""
        self.calls[call if call in self.calls or len(self.calls) < MOST_CALLS else "other"] += 1

    def answer_to(self, call: str) -> tuple[bytes, float | None]:
        """The response's bytes and the seconds until they are sent; None means never."""
        if call == COUNT_CALL:
            return response(200, {"total": self.calls.total(), "by_call": dict(self.calls)}), 0.0
        if call.startswith(SHARE_CALL):
            self.share = float(call.removeprefix(SHARE_CALL))
            return response(200, {"share": self.share}), 0.0
        self.count(call)
        if self.healthy and call == "GET /health":
            return response(200, {"status": "healthy"}), 0.0
        self._due += self.share
        if self._due < 1.0:
            return response(200, _body_for(call, 200), self._marks()), 0.0
        self._due -= 1.0
        delay = {"status": 0.0, "slow": self.slow_seconds, "hang": None}[self.mode]
        return response(self.status, _body_for(call, self.status), self._marks()), delay

    def _marks(self) -> dict[str, str]:
        if self.answered_by is None:
            return {}
        return {"x-answered-by": self.answered_by, "x-request-id": str(uuid.uuid4())}


class Conversation(asyncio.Protocol):
    """One connection; answers keep the order of the requests."""

    def __init__(self, conduct: Conduct) -> None:
        self.conduct = conduct
        self.parser = httptools.HttpRequestParser(self)
        self.url = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's callback."""
        # uvloop's transports fulfil asyncio.Transport without inheriting from it.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Asyncio's callback: what is not HTTP ends the connection."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # answered like everything else, so HTTP goes on
            self.parser = httptools.HttpRequestParser(self)
        except httptools.HttpParserError:
            self._close()

    def on_url(self, url: bytes) -> None:
        """The parser's callback; long URLs come in pieces."""
        self.url += url

    def on_message_complete(self) -> None:
        """The parser's callback: the request is whole, so it is counted and answered."""
        path = self.url.split(b"?", 1)[0].decode("latin-1")
        self.url = b""
        answer, delay = self.conduct.answer_to(f"{self.parser.get_method().decode()} {path}")
        if delay == 0:
            self._write(answer)
        elif delay is not None:
            asyncio.get_running_loop().call_later(delay, self._write, answer)

    def _write(self, answer: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(answer)

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.close()


def response(status: int, content: object, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole HTTP/1.1 response with a JSON body; the connection stays open."""
    body = json.dumps(content).encode()
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
    fields = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} {phrase}\r\n{lines}\r\n".encode() + body


def _body_for(call: str, status: int) -> object:
    # With a good status it plays a system that is well, so a fleet can be measured against it.
    if status < 300:
        return {"update_available": False} if call == "GET /api/check-update" else {"status": "updated"}
    return {"detail": "this is a stand-in that fails"}


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line; unknown arguments exit 2 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m simulator.failing", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one; the address is printed")
    parser.add_argument("--status", type=int, default=500)
    parser.add_argument("--mode", choices=("status", "slow", "hang"), default="status")
    parser.add_argument("--slow-seconds", type=float, default=2.0)
    parser.add_argument("--share", type=float, default=1.0, help="share of the calls that fail, 0 to 1")
    parser.add_argument("--healthy", action="store_true", help="answer GET /health with 200 all the same")
    parser.add_argument("--answered-by", help="name this system in the answers, as the robots' door does")
    arguments = parser.parse_args(argv)
    if not 200 <= arguments.status <= 599:
        parser.error("--status is between 200 and 599")
    if not 0 <= arguments.share <= 1:
        parser.error("--share is between 0 and 1")
    return arguments


async def serve(arguments: argparse.Namespace) -> None:
    """Answer until SIGTERM or SIGINT, then close everything."""
    loop = asyncio.get_running_loop()
    conduct = Conduct(
        arguments.status,
        arguments.mode,
        arguments.slow_seconds,
        arguments.healthy,
        arguments.answered_by,
        arguments.share,
    )
    server = await loop.create_server(lambda: Conversation(conduct), arguments.host, arguments.port)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"failing listening on http://{host}:{port}", flush=True)
    await stop.wait()
    server.close()


def main() -> int:
    """Run; exit 2 when the port cannot be had."""
    arguments = parse_arguments()
    try:
        uvloop.run(serve(arguments))
    except OSError as error:
        print(f"failing: cannot listen on port {arguments.port}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
