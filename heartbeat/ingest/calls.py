"""The calls of robots that end in one heartbeat: who may make them, what they say, what is answered after the commit.

Each takes headers and a body and answers through a callback, so that it costs no task and no future; the fast path of
`heartbeat.ingest.protocol` and the ASGI application use the same ones. v2 heartbeats that come together are taken
together (`heartbeat.ingest.turns`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qs

import msgspec

from heartbeat.errors import NotRecorded, Unavailable
from heartbeat.ingest import schema
from heartbeat.ingest.access import OTHERS_TOKEN, Access, Refusal
from heartbeat.ingest.answers import UPDATED, Answer, Headers, Respond, invalid, legacy_refusal, problem, v2_refusal
from heartbeat.ingest.legacy_calls import plain_status
from heartbeat.ingest.marks import Marks
from heartbeat.ingest.recorder import Recorder
from heartbeat.ingest.refusal import too_fast
from heartbeat.ingest.turns import Arrival, Turn
from heartbeat.ingest.waiting import Outcome
from heartbeat.metrics import REJECTED

_NOT_VALID = "The heartbeat is not valid"


class Accepted(msgspec.Struct, gc=False):
    """The heartbeat is committed. A duplicate was so before; it is as good."""

    status: Literal["accepted", "duplicate"]
    robot_id: str
    request_id: str
    received_at: datetime


_OK = Answer(200, b"ok\n", b"text/plain; charset=utf-8")
_NEVER = datetime.min.replace(tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


class _Heartbeat(Arrival):
    """A v2 heartbeat by HTTP."""

    __slots__ = ()

    back: Respond

    def refuse_invalid(self, error: schema.Invalid) -> None:
        REJECTED.labels("heartbeat", "invalid").inc()
        self.back(invalid(_NOT_VALID, [{"field": error.field, "reason": error.reason}]))

    def refuse_as_others(self) -> None:
        self.back(OTHERS_TOKEN.as_problem())

    def ask_to_wait(self, seconds: float) -> None:
        self.back(too_fast(seconds).as_problem())

    def fail(self) -> None:
        self.back(problem(500, "Internal Server Error", "the heartbeat was not stored; the log says why"))

    def done(self, outcomes: Sequence[Outcome | NotRecorded] | Unavailable) -> None:
        outcome = outcomes if isinstance(outcomes, Unavailable) else outcomes[0]
        self.back(v2_refusal(outcome) if isinstance(outcome, NotRecorded) else self._accepted(outcome))

    def _accepted(self, outcome: Outcome) -> Answer:
        status: Literal["accepted", "duplicate"] = "duplicate" if outcome.duplicate else "accepted"
        request_id = self.marks.request_id_text.decode("latin-1")
        beat = self.beat
        return Answer(200, _encode(Accepted(status, beat.who.robot_id, request_id, beat.received_at or _NEVER)))


class _Ping(_Heartbeat):
    """A heartbeat of whatever can only call an address; `text` is the query."""

    __slots__ = ()

    def read(self) -> schema.Heard:
        return schema.convert(_asked(self.text) | {"robot_id": self.admitted.robot_id})

    def _accepted(self, outcome: Outcome) -> Answer:
        return _OK


class Calls:
    """`recorder` commits; `access` says who may speak."""

    def __init__(self, recorder: Recorder, access: Access) -> None:
        self.recorder = recorder
        self.access = access
        self.turn = Turn(recorder, access)

    def heartbeat(self, headers: Headers, body: bytes, marks: Marks, respond: Respond) -> None:
        """`POST /api/v2/heartbeat`."""
        admitted = self.access.admit(headers.get(b"authorization"))
        if isinstance(admitted, Refusal):
            respond(admitted.as_problem())
            return
        self.turn.add(_Heartbeat(body, admitted, marks, respond))

    def ping(self, token: bytes, query: bytes, marks: Marks, respond: Respond) -> None:
        """`GET|POST /api/v2/ping/{token}`: the token says whose heartbeat it is; the query may say a little more."""
        admitted = self.access.admit_token(token)
        if isinstance(admitted, Refusal):
            respond(admitted.as_problem())
            return
        self.turn.add(_Ping(query, admitted, marks, respond))

    def status(self, headers: Headers, body: bytes, marks: Marks, respond: Respond) -> bool:
        """`POST /api/robot/status`, unless only legacy's own judgement can tell what the body is (False)."""
        beat = plain_status(headers, body, marks)
        if beat is None:
            return False
        refusal = self.refused_by_access(beat.robot_key, headers, marks)
        if refusal is not None:
            respond(refusal.as_legacy())
            return True

        def done(outcomes: Sequence[Outcome | NotRecorded] | Unavailable) -> None:
            outcome = outcomes if isinstance(outcomes, Unavailable) else outcomes[0]
            respond(legacy_refusal(outcome) if isinstance(outcome, NotRecorded) else UPDATED)

        self.recorder.submit((beat,), beat.size, done)
        return True

    def refused_by_access(self, robot_key: bytes, headers: Headers, marks: Marks) -> Refusal | None:
        """Why a legacy call of this robot is not taken, if so."""
        refusal = self.access.admit_legacy(robot_key, marks, headers.get(b"authorization"), marks.v2_refused)
        if refusal is not None:
            return refusal
        wait = self.access.allow(robot_key)
        return None if wait is None else too_fast(wait)


def _asked(query: bytes) -> dict[str, Any]:
    """What a ping may say: `status`, `next_in_s`. Numbers come as text."""
    given = {name: values[-1] for name, values in parse_qs(query.decode("latin-1")).items()}
    return {name: given[name] for name in ("status", "next_in_s", "message") if name in given}
