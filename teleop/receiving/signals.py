"""Signals between heartbeats: `POST /api/v2/teleop/signals`, and frames `signals` on the robots' socket.

A robot sends them when something changes and a few times a second while it is operated; each holds what a heartbeat's
member `teleop` holds. Nothing is acknowledged before its commit.
"""

import math
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from heartbeat.errors import Unavailable
from heartbeat.ingest import schema
from heartbeat.ingest.access import OTHERS_TOKEN, Access, Admitted, Refusal
from heartbeat.ingest.answers import Answer, Headers, invalid, v2_refusal
from heartbeat.ingest.beat import identity_of
from heartbeat.ingest.extending import Tell
from heartbeat.ingest.faults import field_and_reason
from heartbeat.ingest.marks import Marks
from heartbeat.ingest.refusal import too_fast
from heartbeat.rules.identity import displayable
from teleop.receiving.metrics import SIGNALS
from teleop.receiving.recorder import Row, SignalRecorder

LONGEST_BODY_BYTES = 64 * 1024


class Signals(Struct):
    """The body, and the frame. `id`: what an acknowledgement on the socket names; without it there is none."""

    signals: Annotated[list[schema.Teleop], Meta(min_length=1, max_length=100)]
    robot_id: str | None = None
    boot_id: Annotated[str, Meta(max_length=64)] = ""
    id: Annotated[str, Meta(max_length=64)] | None = None


_decoder = msgspec.json.Decoder(Signals)
_encode = msgspec.json.Encoder().encode


class SignalCalls:
    """Takes signals into `recorder` from whom `access` admits."""

    def __init__(self, recorder: SignalRecorder, access: Access) -> None:
        self._recorder = recorder
        self._access = access

    async def answer(self, headers: Headers, body: bytes, marks: Marks) -> Answer:
        """`POST /api/v2/teleop/signals`: 202 with how many were stored, after their commit."""
        admitted = self._access.admit(headers.get(b"authorization"))
        if isinstance(admitted, Refusal):
            return admitted.as_problem()
        try:
            said = decode(body)
        except schema.Invalid as error:
            SIGNALS.labels("http", "invalid").inc()
            return invalid("The signals are not valid", [{"field": error.field, "reason": error.reason}])
        if not _is_of(said, admitted):
            return OTHERS_TOKEN.as_problem()
        if (wait := self._access.allow(admitted.robot_key)) is not None:
            return too_fast(wait).as_problem()
        try:
            await self._recorder.record(_rows(said, admitted))
        except Unavailable as error:
            SIGNALS.labels("http", "unavailable").inc()
            return v2_refusal(error)
        SIGNALS.labels("http", "stored").inc(len(said.signals))
        return Answer(202, _encode({"status": "accepted", "signals": len(said.signals)}))

    def frame(self, admitted: Admitted, frame: bytes, tell: Tell) -> None:
        """A frame `{"type": "signals", …}`. Raises Invalid."""
        said = decode(frame)
        if not _is_of(said, admitted):
            raise schema.Invalid("robot_id", OTHERS_TOKEN.detail.removeprefix("robot_id: "))
        if (wait := self._access.allow(admitted.robot_key)) is not None:
            SIGNALS.labels("socket", "too_fast").inc(len(said.signals))
            if said.id:
                tell({"type": "signals_retry", "id": said.id, "retry_after_s": max(1, math.ceil(wait))})
            return

        def done(error: Unavailable | None) -> None:
            SIGNALS.labels("socket", "unavailable" if error else "stored").inc(len(said.signals))
            if said.id and error:
                tell({"type": "signals_retry", "id": said.id, "retry_after_s": error.retry_after_seconds})
            elif said.id:
                tell({"type": "signals_ack", "id": said.id})

        self._recorder.submit(_rows(said, admitted), done)


def decode(body: bytes) -> Signals:
    """Parse and validate. Raises Invalid, which names the field."""
    if len(body) > LONGEST_BODY_BYTES:
        raise schema.Invalid("", f"the body has {len(body)} bytes, at most {LONGEST_BODY_BYTES} are taken")
    if b"\\u0000" in body:
        raise schema.Invalid("", "contains U+0000, which cannot be stored")
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise schema.Invalid(*field_and_reason(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise schema.Invalid("", f"the body is not valid JSON: {error}") from error


def _is_of(said: Signals, admitted: Admitted) -> bool:
    return said.robot_id is None or identity_of(said.robot_id).robot_key == admitted.robot_key


def _rows(said: Signals, admitted: Admitted) -> list[Row]:
    shown = displayable(said.robot_id or admitted.robot_id)
    return [Row(admitted.robot_key, shown, said.boot_id, _encode(each).decode()) for each in said.signals]


def described() -> Mapping[str, object]:
    """The body's JSON schema, for the API's document."""
    return msgspec.json.schema(Signals)
