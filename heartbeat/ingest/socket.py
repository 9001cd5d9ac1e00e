"""`WS /ws/robot/`: a connection that stays. Heartbeats up; acknowledgements after their commit, and commands, down.

An open socket says nothing about its robot: only heartbeats do. Several sockets of one robot may be open at once, and
the end of an old one changes nothing.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from heartbeat.direct_socket import EXTENSION, DirectSocket, frame_of
from heartbeat.errors import NotRecorded, Unavailable
from heartbeat.ingest import schema
from heartbeat.ingest.access import OTHERS_TOKEN, Admitted, Refusal
from heartbeat.ingest.answers import Receive, Scope, Send
from heartbeat.ingest.calls import Calls
from heartbeat.ingest.extending import Frame
from heartbeat.ingest.frames import bytes_of, result_in, sequence_in, type_of
from heartbeat.ingest.marks import Marks, marks_of
from heartbeat.ingest.turns import Arrival
from heartbeat.ingest.waiting import Outcome
from heartbeat.metrics import REJECTED, SOCKETS

log = structlog.get_logger(__name__)

TOKEN_REVOKED = 4401
#: heartbeats of one socket that may wait for their commit; a robot that sends more is not read for a while
MOST_WAITING = 1_000
#: what may wait to be sent; a robot that does not read it is dropped
MOST_UNSENT_BYTES = 256 * 1024
#: of the number in an acknowledgement, about
_NUMBER_BYTES = 16

_encode = msgspec.json.Encoder().encode


class RobotSocket:
    """The ASGI application of one path."""

    def __init__(self, calls: Calls, frames: Mapping[str, Frame] | None = None) -> None:
        self._calls = calls
        self._frames = {"command_result": _log_result, **(frames or {})}
        self._open: set[_Connection] = set()
        calls.access.when_changed(self._end_the_revoked)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket."""
        headers = dict(scope["headers"])
        if (await receive())["type"] != "websocket.connect":
            return
        admitted = self._calls.access.admit(headers.get(b"authorization"))
        if isinstance(admitted, Refusal):
            await _refuse(scope, send, admitted)
            return
        socket: DirectSocket | None = scope["extensions"].get(EXTENSION)
        if socket is None:
            raise RuntimeError("start ingest with --ws heartbeat.direct_socket:DirectSocket")
        await send({"type": "websocket.accept"})
        connection = _Connection(self._calls, self._frames, admitted, marks_of(headers, scope.get("client")), socket)
        self._open.add(connection)
        SOCKETS.inc()
        try:
            connection.greet()
            while (message := await receive())["type"] != "websocket.disconnect":
                connection.take(bytes_of(message))  # it spoke before it was let in
        finally:
            SOCKETS.dec()
            connection.leave()
            self._open.discard(connection)

    def tell(self, robot_key: bytes, message: dict[str, Any]) -> int:
        """Say something to every open socket of a robot; returns to how many."""
        told = [connection for connection in self._open if connection.robot_key == robot_key]
        for connection in told:
            connection.tell(message)
        return len(told)

    def _end_the_revoked(self) -> None:
        for connection in self._open:
            connection.end_if_revoked()


async def _refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    """Say why at the handshake, where the server can."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 4000 + refusal.status, "reason": refusal.title})
        return
    answer = refusal.as_problem()
    headers = [(b"content-type", answer.content_type), *answer.headers]
    await send({"type": "websocket.http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": answer.body})


class _Frame(Arrival):
    """A message: a heartbeat most of the time."""

    __slots__ = ()

    back: "_Connection"

    def read(self) -> schema.Heard | None:
        said = self.back.heartbeat_in(self.text)
        if said is None:
            self.back.ends()
        elif said.boot_id is None or said.sequence is None:
            raise schema.Invalid("sequence", "a socket needs boot_id and sequence, so that it can be acknowledged")
        return said

    def refuse_invalid(self, error: schema.Invalid) -> None:
        self.back.ends()
        self.back.refuse_invalid(self.text, error)

    def refuse_as_others(self) -> None:
        self._refuse(self.beat.sequence, 403, "robot_id", OTHERS_TOKEN.detail.removeprefix("robot_id: "))

    def fail(self) -> None:
        self._refuse(sequence_in(self.text), 500, "", "the heartbeat was not stored")

    def _refuse(self, sequence: int | None, status: int, field: str, reason: str) -> None:
        self.back.ends()
        self.back.refuse(sequence, status, field, reason)

    def ask_to_wait(self, seconds: float) -> None:
        self._retry(max(1, math.ceil(seconds)))

    def _retry(self, seconds: int) -> None:
        self.back.ends()
        self.back.tell({"type": "retry", "sequences": [self.beat.sequence], "retry_after_s": seconds})

    def done(self, outcomes: Sequence[Outcome | NotRecorded] | Unavailable) -> None:
        outcome = outcomes if isinstance(outcomes, Unavailable) else outcomes[0]
        if isinstance(outcome, Unavailable):
            self._retry(outcome.retry_after_seconds)
        elif isinstance(outcome, NotRecorded):
            self._refuse(self.beat.sequence, 422, "", str(outcome))
        else:
            beat = self.beat
            self.back.ends()
            self.back.acknowledge(beat.boot_name or "", beat.sequence or 0)


class _Connection:
    """One open socket: what it sent and waits for, and what it has to be told."""

    def __init__(
        self, calls: Calls, frames: Mapping[str, Frame], admitted: Admitted, marks: Marks, socket: DirectSocket
    ) -> None:
        self._calls = calls
        self._frames = frames
        self.robot_key = admitted.robot_key
        self._admitted = admitted
        self._marks = marks
        self._socket = socket
        self._loop = asyncio.get_running_loop()
        self._waiting = 0
        self._reads = True
        self._acknowledged: dict[str, list[int]] = {}
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._will_write = False

    def greet(self) -> None:
        """Say whose socket it is, and take messages from now on."""
        self._socket.on_message, self._socket.on_room = self.take, self._write
        self.tell({"type": "hello", "robot_id": self._admitted.robot_id, "server_time": datetime.now(UTC)})

    def leave(self) -> None:
        """The robot has gone."""
        self._socket.on_message = self._socket.on_room = None

    def end_if_revoked(self) -> bool:
        """Whether the token was revoked or has expired; then the socket is closed."""
        if self._calls.access.still_admits(self._admitted):
            return False
        self._socket.close_with(TOKEN_REVOKED, "the token is not valid any more")
        return True

    def take(self, frame: bytes) -> None:
        """Take a message: a heartbeat with others, anything else at once."""
        if self.end_if_revoked():
            return
        if frame.startswith(b'{"type"') and (kind := type_of(frame)) != "heartbeat":
            try:
                self._take_other(kind, frame)
            except schema.Invalid as error:
                self.refuse_invalid(frame, error)
            return
        self._waiting += 1
        if self._waiting >= MOST_WAITING and self._reads:
            self._reads = False
            self._socket.transport.pause_reading()
        self._calls.turn.add(_Frame(frame, self._admitted, self._marks, self))

    def heartbeat_in(self, frame: bytes) -> schema.Heard | None:
        """The heartbeat; None for another kind of frame, which was taken. Raises Invalid."""
        try:
            said = schema.decode_frame(frame)
        except schema.Invalid:
            if (kind := type_of(frame)) == "heartbeat":
                raise
            self._take_other(kind, frame)
            return None
        if said.type == "heartbeat":
            return said
        self._take_other(said.type, frame)
        return None

    def ends(self) -> None:
        """A message that was taken is answered."""
        self._waiting -= 1
        if not self._reads and self._waiting <= MOST_WAITING // 2:
            self._read_again()

    def refuse_invalid(self, frame: bytes, error: schema.Invalid) -> None:
        """A message says what cannot be."""
        REJECTED.labels("heartbeat", "invalid").inc()
        self.refuse(sequence_in(frame), 422, error.field, error.reason)

    def refuse(self, sequence: int | None, status: int, field: str, reason: str) -> None:
        """A message is not taken, and why."""
        errors = [{"field": field, "reason": reason}]
        self.tell({"type": "refused", "sequence": sequence, "status": status, "errors": errors})

    def acknowledge(self, boot_id: str, sequence: int) -> None:
        """A heartbeat is stored."""
        self._acknowledged.setdefault(boot_id, []).append(sequence)
        self._is_news(_NUMBER_BYTES)

    def _read_again(self) -> None:
        self._reads = True
        if not self._socket.transport.is_closing():
            self._socket.transport.resume_reading()

    def _take_other(self, kind: str, frame: bytes) -> None:
        take = self._frames.get(kind)
        if take is None:
            raise schema.Invalid("type", f"{kind[:64]!r} is none of heartbeat, {', '.join(self._frames)}")
        take(self._admitted, frame, self.tell)

    def tell(self, message: dict[str, Any]) -> None:
        """Say something."""
        self._unsent.append(text := _encode(message))
        self._is_news(len(text))

    def _is_news(self, size: int) -> None:
        """Write soon; a robot that does not read is dropped."""
        self._unsent_bytes += size
        if self._unsent_bytes > MOST_UNSENT_BYTES:
            self._socket.close_with(1013, "the robot does not read")
        elif not self._will_write:
            self._will_write = True
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        """One message holds all acknowledgements that came since the one before."""
        self._will_write = False
        if self._socket.is_full:
            return
        acknowledged, self._acknowledged = self._acknowledged, {}
        unsent, self._unsent = self._unsent, []
        self._unsent_bytes = 0
        acks = [
            b'{"type":"ack","boot_id":%s,"sequences":%s}' % (_encode(boot_id), _encode(sequences))
            for boot_id, sequences in acknowledged.items()
        ]
        if acks or unsent:
            self._socket.write_frame(b"".join(map(frame_of, (*acks, *unsent))))


def _log_result(admitted: Admitted, frame: bytes, tell: object) -> None:
    result = result_in(frame)
    log.info("command.answered", robot=admitted.robot_id, id=result.id[:64], ok=result.ok)
