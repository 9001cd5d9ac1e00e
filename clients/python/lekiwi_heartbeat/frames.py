"""The client's half of RFC 6455, without a socket: bytes in, messages out."""

import base64
import hashlib
import os
from dataclasses import dataclass, field

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
CONTINUATION = 0x0
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MOST_MESSAGE_BYTES = 1 << 20
MOST_HEAD_BYTES = 16 * 1024


class ProtocolError(Exception):
    """The other side does not speak WebSocket."""


def request(path: str, host: str, token: str | None, key: str) -> bytes:
    """The handshake's request."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *([f"Authorization: Bearer {token}"] if token else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def new_key() -> str:
    """A fresh handshake key."""
    return base64.b64encode(os.urandom(16)).decode()


@dataclass(frozen=True)
class Head:
    """An HTTP answer's status and headers (names lowered), and the bytes that came behind them."""

    status: int
    headers: dict[str, str]
    rest: bytes


def read_head(data: bytes) -> Head | None:
    """The answer's head once it is whole. Raises ProtocolError."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        if len(data) > MOST_HEAD_BYTES:
            raise ProtocolError("the answer's head is too long")
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(None, 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdecimal():
        raise ProtocolError(f"not an HTTP answer: {first[:60]!r}")
    fields = (line.partition(":") for line in lines)
    return Head(int(parts[1]), {name.strip().lower(): value.strip() for name, _, value in fields}, rest)


def check_accepted(head: Head, key: str) -> None:
    """Raise ProtocolError unless `head`, a 101, answers the handshake with this key."""
    expected = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()
    if head.headers.get("sec-websocket-accept") != expected:
        raise ProtocolError("the handshake's answer does not fit its key")


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole frame from client to server, which is masked."""
    length = len(payload)
    if length < 126:
        head = bytes((0x80 | opcode, 0x80 | length))
    elif length < 1 << 16:
        head = bytes((0x80 | opcode, 0x80 | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + length.to_bytes(8, "big")
    mask = os.urandom(4)
    return head + mask + _masked(payload, mask)


def _masked(payload: bytes, mask: bytes) -> bytes:
    # As two long integers: byte by byte would cost a Raspberry Pi a millisecond a frame.
    length = len(payload)
    pattern = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(length, "big")


@dataclass
class Conversation:
    """What came so far on an open WebSocket. `to_send` gathers what the protocol itself has to answer."""

    to_send: bytearray = field(default_factory=bytearray)
    #: how the other side closed: its code, 1005 without one
    closed_with: int | None = None
    _buffer: bytearray = field(default_factory=bytearray)
    _message: bytearray | None = None

    def receive(self, data: bytes) -> list[bytes]:
        """Feed bytes; returns the text messages that became whole. Raises ProtocolError."""
        self._buffer += data
        messages: list[bytes] = []
        while self.closed_with is None and (taken := self._take_frame()) is not None:
            opcode, final, payload = taken
            if opcode == PING:
                self.to_send += frame(PONG, payload)
            elif opcode == CLOSE:
                self.closed_with = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
                self.to_send += frame(CLOSE, payload[:2])
            elif opcode in (TEXT, BINARY, CONTINUATION):
                messages += self._joined(opcode, final, payload)
        return messages

    def _joined(self, opcode: int, final: bool, payload: bytes) -> list[bytes]:
        """The message that this fragment completes, if it does."""
        if (opcode == CONTINUATION) != (self._message is not None):
            raise ProtocolError("a fragment out of place")
        whole = (self._message or bytearray()) + payload
        if len(whole) > MOST_MESSAGE_BYTES:
            raise ProtocolError("the message is too long")
        self._message = None if final else whole
        return [bytes(whole)] if final else []

    def _take_frame(self) -> tuple[int, bool, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, start = buffer[1] & 0x7F, 2
        if buffer[0] & 0x70 or buffer[1] & 0x80:
            raise ProtocolError("a masked or extended frame from a server")
        if length >= 126:
            start = 4 if length == 126 else 10
            if len(buffer) < start:
                return None
            length = int.from_bytes(buffer[2:start], "big")
        if length > MOST_MESSAGE_BYTES:
            raise ProtocolError("the frame is too long")
        if len(buffer) < start + length:
            return None
        payload = bytes(buffer[start : start + length])
        opcode, final = buffer[0] & 0x0F, bool(buffer[0] & 0x80)
        del buffer[: start + length]
        return opcode, final, payload
