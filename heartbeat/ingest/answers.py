"""What the fast path answers, as ASGI messages or as bytes on the wire."""

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

import msgspec

from heartbeat.errors import NotRecorded, Unavailable
from heartbeat.ingest.marks import Marks

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]
#: names in lower case
Headers = Mapping[bytes, bytes]

_ANSWERED_BY = (b"x-answered-by", b"new")
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\nx-answered-by: new\r\n".encode() for status in HTTPStatus
}


class Answer(msgspec.Struct, gc=False):
    """A status, a body, its type and what else the headers say."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: list[Header] = []

    def on_the_wire(self, request_id: bytes) -> bytes:
        """The whole HTTP/1.1 answer."""
        more = b"".join([b"\r\n%s: %s" % header for header in self.headers]) if self.headers else b""
        return b"%sx-request-id: %s\r\ncontent-type: %s\r\ncontent-length: %d%s\r\n\r\n%s" % (
            _STATUS_LINES[self.status],
            request_id,
            self.content_type,
            len(self.body),
            more,
            self.body,
        )


#: what takes an answer: the wire, or whoever waits for it
Respond = Callable[[Answer], None]
UPDATED = Answer(200, b'{"status":"updated"}')


async def send_answer(send: Send, answer: Answer, marks: Marks) -> None:
    """Send an answer that says who answered and which request."""
    headers = [
        (b"content-length", b"%d" % len(answer.body)),
        (b"content-type", answer.content_type),
        _ANSWERED_BY,
        (b"x-request-id", marks.request_id_text),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def marked(send: Send, marks: Marks) -> Send:
    """A `send` for another application, whose answers then say who answered and which request."""

    async def send_marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], _ANSWERED_BY, (b"x-request-id", marks.request_id_text)]
        await send(message)

    return send_marked


def legacy_refusal(error: NotRecorded) -> Answer:
    """A legacy call that was not recorded, in legacy's dialect."""
    if isinstance(error, Unavailable):
        return Answer(503, _json({"detail": error.reason}), headers=[_retry_after(error)])
    detail = [{"type": "value_error", "loc": ["body"], "msg": f"Value error, {error}", "input": None}]
    return Answer(422, _json({"detail": detail}))


def v2_refusal(error: NotRecorded) -> Answer:
    """A v2 heartbeat that was not recorded."""
    if isinstance(error, Unavailable):
        answer = problem(503, "The heartbeat could not be stored now", error.reason)
        answer.headers.append(_retry_after(error))
        return answer
    return problem(422, "The heartbeat cannot be stored", str(error))


def invalid(title: str, errors: list[dict[str, str]]) -> Answer:
    """A body that is not valid: which fields, and why."""
    detail = "; ".join(f"{one['field']}: {one['reason']}" if one["field"] else one["reason"] for one in errors)
    return problem(422, title, detail, errors=errors)


def problem(status: int, title: str, detail: str, **members: Any) -> Answer:
    """RFC 9457 problem details, as the REST API answers them."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
    return Answer(status, _json(body), b"application/problem+json")


def _retry_after(error: Unavailable) -> Header:
    return b"retry-after", str(error.retry_after_seconds).encode()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
