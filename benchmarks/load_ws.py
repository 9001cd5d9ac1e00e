"""Load on the robots' WebSocket: heartbeats as frames, several under way per connection, counted when acknowledged."""

import asyncio
import base64
import os
import time
from typing import TYPE_CHECKING

import msgspec

from benchmarks import bodies

if TYPE_CHECKING:
    from benchmarks.load import Job, Tally

#: heartbeats that a robot has sent and that are not acknowledged yet
UNDER_WAY = 4


class _Down(msgspec.Struct):
    type: str
    sequences: list[int] = []


_decoder = msgspec.json.Decoder(_Down)


class RobotOnASocket(asyncio.Protocol):
    """One robot: a handshake, then frames."""

    def __init__(self, tally: "Tally", job: "Job", robot: int) -> None:
        self._tally = tally
        self._robot = robot
        self._before, self._after = bodies.split_heartbeat(robot)
        self._token = bodies.tokens(job)[robot]
        self._sequence = 1_000_000_000 + job.first
        self._sent_at: dict[int, float] = {}
        self._data = b""
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's callback."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._tally.open += 1
        key = base64.b64encode(os.urandom(16)).decode()
        lines = ["GET /ws/robot/ HTTP/1.1", "Host: robots", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"Authorization: Bearer {self._token}"]
        self._transport.write("\r\n".join(lines).encode() + b"\r\n\r\n")

    def _send(self, count: int) -> None:
        frames = []
        now = time.perf_counter()
        for _ in range(count):
            payload = self._before + bodies.changing(self._sequence) + self._after
            # The mask is zero, which leaves the payload as it is.
            frames.append(b"\x81\xfe" + len(payload).to_bytes(2, "big") + b"\0\0\0\0" + payload)
            self._sent_at[self._sequence] = now
            self._sequence += 1
        self._transport.write(b"".join(frames))

    def data_received(self, data: bytes) -> None:
        """Asyncio's callback: frames, after the handshake's answer."""
        self._data += data
        if not self._open:
            head, found, rest = self._data.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head:
                self._tally.refused += 1
                self._transport.close()
                return
            self._open, self._data = True, rest
            self._send(UNDER_WAY)
        acknowledged = 0
        while (frame := self._frame()) is not None:
            acknowledged += self._take(frame)
        if acknowledged and time.perf_counter() < self._tally.stop_at:
            self._send(acknowledged)
        elif time.perf_counter() >= self._tally.stop_at and not self._sent_at:
            self._transport.close()

    def _take(self, frame: bytes) -> int:
        said = _decoder.decode(frame)
        now = time.perf_counter()
        if said.type == "hello":
            return 0
        if said.type != "ack":
            self._tally.refused += max(1, len(said.sequences))
            for sequence in said.sequences:
                self._sent_at.pop(sequence, None)
            return len(said.sequences)
        for sequence in said.sequences:
            self._tally.latencies.append(now - self._sent_at.pop(sequence))
            self._tally.numbers.append(self._robot)
            self._tally.numbers.append(sequence)
        self._tally.acknowledged += len(said.sequences)
        return len(said.sequences)

    def _frame(self) -> bytes | None:
        data = self._data
        if len(data) < 2:
            return None
        length, start = data[1] & 0x7F, 2
        if length == 126:
            if len(data) < 4:
                return None
            length, start = int.from_bytes(data[2:4], "big"), 4
        if len(data) < start + length:
            return None
        self._data = data[start + length :]
        return data[start : start + length]

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's callback."""
        self._tally.open -= 1
        if time.perf_counter() < self._tally.stop_at:
            self._tally.failed += len(self._sent_at)
