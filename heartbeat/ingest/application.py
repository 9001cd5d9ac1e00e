"""The ASGI application that answers robots: three calls by a fast path, everything else by the legacy contract.

Whatever the fast path does not take without a doubt (an odd body, a browser's request) goes to the FastAPI
application, whose judgement is legacy's own; its robots' calls end in the same recorder.
"""

import re
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from heartbeat.errors import NotRecorded
from heartbeat.ingest import v2
from heartbeat.ingest.answers import (
    UPDATED,
    Answer,
    Header,
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
from heartbeat.ingest.beat import Beat, check_beat, new_beat
from heartbeat.ingest.marks import Marks, marks_of
from heartbeat.ingest.offers import Offers
from heartbeat.ingest.recorder import Recorder
from heartbeat.metrics import REJECTED

ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

#: what Python's JSON parser reads otherwise than msgspec skips it: longer integers than it converts, infinity
_ODD_NUMBER = re.compile(rb"\d{4300}|\d[eE]\+?\d{3}")


class _Status(msgspec.Struct):
    robot_id: str
    status: str
    deployment_id: str | None = None
    version: str | None = None
    message: str | None = None
    health: msgspec.Raw = msgspec.Raw(b"null")


_NOT_ALLOWED = problem(405, "Method not allowed", "heartbeats are posted")
_NOT_ALLOWED.headers.append((b"allow", b"POST"))
_status_decoder = msgspec.json.Decoder(_Status)


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
        beat = _plain_status(scope["headers"], body, marks)
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
        asked = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        if "robot_id" not in asked or "current_version" not in asked or _from_browser(scope["headers"]):
            await self._legacy(scope, receive, marked(send, marks))
            return
        group, version = asked.get("group", "all"), asked["current_version"]
        try:
            revision = await self._recorder.record(check_beat(asked["robot_id"], version, group, marks))
            answer = Answer(200, msgspec.json.encode(await self._offers.answer(group, version, revision)))
        except NotRecorded as error:
            answer = legacy_refusal(error)
        await send_answer(send, answer, marks)

    async def _v2(self, receive: Receive, marks: Marks) -> Answer:
        body = await _body(receive)
        try:
            said = v2.decode(body)
        except v2.Invalid as error:
            REJECTED.labels("heartbeat", "invalid").inc()
            errors = [{"field": error.field, "reason": error.reason}]
            return problem(422, "The heartbeat is not valid", str(error), errors=errors)
        beat = v2.v2_beat(said, marks, len(body))
        try:
            await self._recorder.record(beat)
        except NotRecorded as error:
            return v2_refusal(error)
        accepted = {
            "status": "accepted",
            "robot_id": said.robot_id,
            "request_id": str(marks.request_id),
            "received_at": beat.received_at,
        }
        return Answer(200, msgspec.json.encode(accepted))


def _plain_status(headers: list[Header], body: bytes, marks: Marks) -> Beat | None:
    """The heartbeat in a body that legacy would accept without a doubt, else None."""
    if not _is_json(headers) or _from_browser(headers):
        return None
    try:
        said = _status_decoder.decode(body)
        if not body.isascii():
            body.decode()  # what msgspec skips it does not check
        if b"\\u0000" in body:
            return None
        health: bytes | None = bytes(said.health)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if health == b"null":
        health = None
    elif health[:1] != b"{" or _ODD_NUMBER.search(body):
        return None
    return new_beat(
        said.robot_id,
        marks,
        call="status",
        size=len(body),
        deployment_id=said.deployment_id,
        version=said.version,
        status=said.status,
        message=said.message,
        health=None if health is None else health.decode(),
    )


def _is_json(headers: list[Header]) -> bool:
    for name, value in headers:
        if name == b"content-type":
            return value.partition(b";")[0].strip().lower() in (b"application/json", b"")
    return True


def _from_browser(headers: list[Header]) -> bool:
    """A request with an origin is answered with CORS headers, which the legacy application knows."""
    return any(name == b"origin" for name, _ in headers)


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
