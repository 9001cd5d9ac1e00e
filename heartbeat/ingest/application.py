"""The ASGI application that answers robots: their calls by a fast path, everything else by the legacy contract."""

from collections.abc import Awaitable, Callable

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from heartbeat.errors import NotRecorded
from heartbeat.ingest import schema
from heartbeat.ingest.answers import (
    UPDATED,
    Answer,
    Message,
    Receive,
    Scope,
    Send,
    legacy_refusal,
    marked,
    problem,
    send_answer,
    v2_refusal,
)
from heartbeat.ingest.legacy_calls import plain_check, plain_status
from heartbeat.ingest.marks import Marks, marks_of
from heartbeat.ingest.offers import Offers
from heartbeat.ingest.recorder import Recorder
from heartbeat.ingest.v2 import v2_beat
from heartbeat.metrics import REJECTED

ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

_NOT_ALLOWED = problem(405, "Method not allowed", "heartbeats are posted")
_NOT_ALLOWED.headers.append((b"allow", b"POST"))


class Ingest:
    """`recorder` commits, `offers` answers update checks, `legacy` is the rest of the contract."""

    def __init__(self, recorder: Recorder, offers: Offers, legacy: ASGIApplication) -> None:
        self._recorder = recorder
        self._offers = offers
        self._legacy = legacy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            await self._legacy(scope, receive, send)
            return
        headers = scope["headers"]
        marks = scope["marks"] = marks_of(headers, scope.get("client"))
        method, path = scope["method"], scope["path"]
        if method == "POST" and path == "/api/robot/status":
            await self._status(scope, receive, send, marks)
        elif method == "GET" and path == "/api/check-update":
            await self._check(scope, receive, send, marks)
        elif path == "/api/v2/heartbeat":
            await send_answer(send, await self._v2(receive, marks) if method == "POST" else _NOT_ALLOWED, marks)
        elif method == "GET" and path == "/metrics":
            await send_answer(send, Answer(200, generate_latest(), CONTENT_TYPE_LATEST.encode()), marks)
        else:
            await self._legacy(scope, receive, marked(send, marks))

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._recorder.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._recorder.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _status(self, scope: Scope, receive: Receive, send: Send, marks: Marks) -> None:
        body = await _body(receive)
        beat = plain_status(scope["headers"], body, marks)
        if beat is None:
            await self._legacy(scope, _again(body), marked(send, marks))
            return
        try:
            await self._recorder.record(beat)
            answer = UPDATED
        except NotRecorded as error:
            answer = legacy_refusal(error)
        await send_answer(send, answer, marks)

    async def _check(self, scope: Scope, receive: Receive, send: Send, marks: Marks) -> None:
        asked = plain_check(scope["headers"], scope["query_string"], marks)
        if asked is None:
            await self._legacy(scope, receive, marked(send, marks))
            return
        beat, group, version = asked
        try:
            outcome = await self._recorder.record(beat)
            answer = Answer(200, msgspec.json.encode(await self._offers.answer(group, version, outcome.deployments)))
        except NotRecorded as error:
            answer = legacy_refusal(error)
        await send_answer(send, answer, marks)

    async def _v2(self, receive: Receive, marks: Marks) -> Answer:
        body = await _body(receive)
        try:
            said = schema.decode(body)
        except schema.Invalid as error:
            REJECTED.labels("heartbeat", "invalid").inc()
            errors = [{"field": error.field, "reason": error.reason}]
            return problem(422, "The heartbeat is not valid", str(error), errors=errors)
        beat = v2_beat(said, marks, len(body))
        try:
            outcome = await self._recorder.record(beat)
        except NotRecorded as error:
            return v2_refusal(error)
        accepted = {
            "status": "duplicate" if outcome.duplicate else "accepted",
            "robot_id": said.robot_id,
            "request_id": marks.request_id_text.decode("latin-1"),
            "received_at": beat.received_at,
        }
        return Answer(200, msgspec.json.encode(accepted))


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
