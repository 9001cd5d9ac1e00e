"""Uvicorn's HTTP protocol, with a short way for the call that robots make all the time.

*Joined writes.* Uvicorn writes head and body of an answer one after the other. A process that is killed in between has
begun an answer, so the robots' door can no longer ask the other system: one in several thousand robots saw it when
`new` was killed under load. It also halves the system calls.

*The short way.* A heartbeat that arrives whole, on a connection that does nothing else, is given to `Calls` without a
scope, a task and four messages: half of what a request costs. Whatever is not exactly that (a body in pieces, a
pipelined request, `Expect`, an unusual header) takes uvicorn's way through the ASGI application, to the same `Calls`.
"""

import asyncio
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from heartbeat.ingest.answers import Answer, Headers
from heartbeat.ingest.calls import Calls
from heartbeat.ingest.marks import Marks, marks_of

_V2 = b"POST /api/v2/heartbeat HTTP/1.1\r\n"
_STATUS = b"POST /api/robot/status HTTP/1.1\r\n"
#: headers with which a request is more than a heartbeat
_UNUSUAL = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"content-encoding", b"trailer", b"origin"})
#: headers' names as they were spelt, in lower case; so many are remembered
MOST_NAMES = 1_000
_names: dict[bytes, bytes] = {}
_PLAIN_NAME = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")


class JoinedTransport:
    """A transport that gathers what is written in one turn of the event loop. Everything else is the real one's."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self.gathered: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send with whatever else is written before the loop comes round."""
        if not self.gathered:
            self._loop.call_soon(self.flush)
        self.gathered.append(data)

    def close(self) -> None:
        """Send what was gathered, then close."""
        self.flush()
        self._transport.close()

    @property
    def unjoined(self) -> asyncio.Transport:
        """The transport itself, with nothing gathered before it."""
        self.flush()
        return self._transport

    def flush(self) -> None:
        """Send what was gathered."""
        if self.gathered:
            gathered, self.gathered = self.gathered, []
            self._transport.write(b"".join(gathered))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class JoinedWrites(HttpToolsProtocol):
    """`uvicorn --http heartbeat.ingest.protocol:JoinedWrites`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wrap the transport before anything is written to it."""
        self._plain = transport
        self._joined = JoinedTransport(transport, self.loop)  # type: ignore[arg-type]
        super().connection_made(self._joined)  # type: ignore[arg-type]


class RobotsProtocol(JoinedWrites):
    """`uvicorn --http heartbeat.ingest.protocol:RobotsProtocol --no-proxy-headers config.ingest:application`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._calls: Calls | None = getattr(self.config.loaded_app, "calls", None)
        self._answering = False
        self._closing = False
        #: what came before the answer to the heartbeat before was known
        self._early = b""
        #: a request of which uvicorn's parser has seen the beginning
        self._parsing = False
        self._rested_at = 0.0

    def data_received(self, data: bytes) -> None:
        """Asyncio's callback: the short way for a whole heartbeat, uvicorn's for everything else."""
        if self._answering:
            self._early += data
        elif self._parsing or (self.cycle is not None and not self.cycle.response_complete) or not self._take(data):
            super().data_received(data)

    def on_message_begin(self) -> None:
        """The parser's callback."""
        self._parsing = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """The parser's callback."""
        self._parsing = False
        super().on_message_complete()

    def _take(self, data: bytes) -> bool:
        """Whether `data` is one whole heartbeat and nothing else; then its answer is under way."""
        if self._calls is None:
            return False
        is_v2 = data.startswith(_V2)
        if not is_v2 and not data.startswith(_STATUS):
            return False
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return False
        headers = _plain_headers(data[data.find(b"\r\n") + 2 : end])
        if headers is None or headers[b"content-length"] != b"%d" % (len(data) - end - 4):
            return False
        marks = marks_of(headers, self.client)
        self._answering = True
        respond = partial(self.answer, marks)
        if is_v2:
            self._calls.heartbeat(headers, data[end + 4 :], marks, respond)
            return True
        if self._calls.status(headers, data[end + 4 :], marks, respond):
            return True
        self._answering = False
        return False

    def answer(self, marks: Marks, answer: Answer) -> None:
        """Send the answer; then go on with what came meanwhile, or wait for the next call."""
        self._answering = False
        if self._plain.is_closing():
            return
        self.server_state.total_requests += 1
        if self._joined.gathered:  # an answer of uvicorn's, to a request before this one
            self._joined.flush()
        self._plain.write(answer.on_the_wire(marks.request_id_text))
        if self._closing:
            self._plain.close()
        elif self._early:
            early, self._early = self._early, b""
            self.data_received(early)
        else:
            self._rest()

    def _rest(self) -> None:
        """Wait for the next call as long as uvicorn does; one timer serves many heartbeats."""
        self._rested_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """Uvicorn's callback after an answer of its own."""
        super().on_response_complete()
        self._rested_at = self.loop.time()

    def timeout_keep_alive_handler(self) -> None:
        """The timer's callback: close the connection if it rested all the time, else go on waiting."""
        self.timeout_keep_alive_task = None
        if self._answering:
            return
        left = self._rested_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """Uvicorn's callback at the end: a heartbeat that is being committed is answered first."""
        if self._answering:
            self._closing = True
        else:
            super().shutdown()


def _plain_name(spelt: bytes) -> bytes:
    """A header's name in lower case, empty when it is unusual. Few names are heard again and again."""
    name = spelt.lower()
    if name in _UNUSUAL or not _PLAIN_NAME.issuperset(name):
        return b""
    if len(_names) < MOST_NAMES:
        _names[spelt] = name
    return name


def _plain_headers(head: bytes) -> Headers | None:
    """The headers, names in lower case; None when anything about them is unusual."""
    headers: dict[bytes, bytes] = {}
    lines = head.split(b"\r\n")
    for line in lines:
        spelt, colon, value = line.partition(b":")
        name = _names.get(spelt) or _plain_name(spelt)
        if not colon or not name:
            return None
        headers[name] = value.strip(b" \t")
    if len(headers) < len(lines) or b"content-length" not in headers:
        return None
    if headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    return headers
