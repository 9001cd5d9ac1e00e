"""The ASGI application that answers robots: their calls by `Calls`, everything else by the legacy contract."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from heartbeat.errors import NotRecorded
from heartbeat.garbage import collect_rarely
from heartbeat.ingest.answers import (
    Answer,
    Headers,
    Message,
    Receive,
    Respond,
    Scope,
    Send,
    legacy_refusal,
    marked,
    problem,
    send_answer,
)
from heartbeat.ingest.batches import Batches
from heartbeat.ingest.calls import Calls
from heartbeat.ingest.enrolling import Enrolling
from heartbeat.ingest.extending import Extension
from heartbeat.ingest.legacy_calls import plain_check
from heartbeat.ingest.marks import Marks, marks_of
from heartbeat.ingest.offers import Offers
from heartbeat.ingest.socket import RobotSocket

ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]
_PING = "/api/v2/ping/"


class Ingest:
    """`calls` store heartbeats, `offers` answers update checks, `legacy` is the rest of the contract."""

    def __init__(
        self,
        calls: Calls,
        offers: Offers,
        enrolling: Enrolling,
        legacy: ASGIApplication,
        extensions: Sequence[Extension] = (),
    ) -> None:
        #: what the protocol's fast path calls without coming through here
        self.calls = calls
        self._offers = offers
        self._enrolling = enrolling
        self._batches = Batches(calls)
        self._extensions = extensions
        self._paths = {path: call for each in extensions for path, call in each.paths.items()}
        self._socket = RobotSocket(calls, {kind: take for each in extensions for kind, take in each.frames.items()})
        self._legacy = legacy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        headers: Headers = dict(scope["headers"])
        marks = marks_of(headers, scope.get("client"))
        if scope["type"] == "websocket":
            await (self._socket if scope["path"] == "/ws/robot/" else self._legacy)(scope, receive, send)
            return
        scope["marks"] = marks
        method, path = scope["method"], scope["path"]
        if method == "POST" and path == "/api/robot/status":
            await self._status(scope, receive, send, headers, marks)
        elif method == "GET" and path == "/api/check-update":
            await self._check(scope, receive, send, headers, marks)
        elif path.startswith("/api/v2/"):
            await send_answer(send, await self._v2(scope, receive, headers, marks), marks)
        elif method == "GET" and path == "/metrics":
            await send_answer(send, Answer(200, generate_latest(), CONTENT_TYPE_LATEST.encode()), marks)
        else:
            await self._legacy(scope, receive, marked(send, marks))

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                collect_rarely()
                self.calls.recorder.start()
                self.calls.access.start()
                for extension in self._extensions:
                    extension.start(self._socket)
                await send({"type": "lifespan.startup.complete"})
            else:
                for extension in self._extensions:
                    await extension.close()
                await self.calls.recorder.close()
                await self.calls.access.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _status(self, scope: Scope, receive: Receive, send: Send, headers: Headers, marks: Marks) -> None:
        body = await _body(receive)
        answered, respond = _awaited()
        if self.calls.status(headers, body, marks, respond):
            await send_answer(send, await answered, marks)
        else:
            await self._legacy(scope, _again(body), marked(send, marks))

    async def _check(self, scope: Scope, receive: Receive, send: Send, headers: Headers, marks: Marks) -> None:
        asked = plain_check(headers, scope["query_string"], marks)
        if asked is None:
            await self._legacy(scope, receive, marked(send, marks))
            return
        beat, group, version = asked
        refusal = self.calls.refused_by_access(beat.robot_key, headers, marks)
        if refusal is not None:
            await send_answer(send, refusal.as_legacy(), marks)
            return
        try:
            outcome = await self.calls.recorder.record(beat)
            answer = Answer(200, msgspec.json.encode(await self._offers.answer(group, version, outcome.deployments)))
        except NotRecorded as error:
            answer = legacy_refusal(error)
        await send_answer(send, answer, marks)

    async def _v2(self, scope: Scope, receive: Receive, headers: Headers, marks: Marks) -> Answer:
        method, path = scope["method"], scope["path"]
        if path.startswith(_PING):
            if method not in ("GET", "POST"):
                return _not_allowed(b"GET, POST")
            answered, respond = _awaited()
            self.calls.ping(path[len(_PING) :].encode(), scope["query_string"], marks, respond)
            return await answered
        if path not in ("/api/v2/heartbeat", "/api/v2/heartbeats", "/api/v2/enrol", *self._paths):
            return problem(404, "Not Found", f"ingest has no {path}")
        if method != "POST":
            return _not_allowed(b"POST")
        body = await _body(receive)
        if call := self._paths.get(path):
            return await call(headers, body, marks)
        if path == "/api/v2/enrol":
            return await self._enrolling.answer(body, headers.get(b"authorization"), marks)
        if path == "/api/v2/heartbeats":
            return await self._batches.answer(headers, body, marks)
        answered, respond = _awaited()
        self.calls.heartbeat(headers, body, marks, respond)
        return await answered


def _awaited() -> tuple[asyncio.Future[Answer], Respond]:
    """A future, and what gives it its answer; nobody may be waiting any more."""
    future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def respond(answer: Answer) -> None:
        if not future.done():
            future.set_result(answer)

    return future, respond


def _not_allowed(methods: bytes) -> Answer:
    answer = problem(405, "Method not allowed", f"allowed: {methods.decode()}")
    answer.headers.append((b"allow", methods))
    return answer


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts = [body]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


def _again(body: bytes) -> Receive:
    """A `receive` that gives a body that was read already, then the end of the connection."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        return next(messages, {"type": "http.disconnect"})

    return receive
