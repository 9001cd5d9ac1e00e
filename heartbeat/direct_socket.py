"""Uvicorn's WebSocket protocol with a way past ASGI: whole messages straight to a callback, frames straight out.

Through ASGI each message is a parsed frame object, a dictionary, a queue and a task switch, and each answer the same
back: more than half of what a heartbeat on a socket cost. Here a frame that arrives whole and alone (what robots send)
is read in place. Everything else (pieces, pings, a close, what is not allowed) goes to the library frame by frame, so
that its judgement stays what it is.

The application finds the socket in `scope["extensions"]["lekiwi.socket"]`.
"""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.speedups import apply_mask

EXTENSION = "lekiwi.socket"
_FINAL_TEXT = 0x81
#: first bytes of messages in one piece: text, binary
_WHOLE = (_FINAL_TEXT, 0x82)
_MASKED, _LENGTH, _FINAL, _OPCODE = 0x80, 0x7F, 0x80, 0x0F
#: most heartbeats: a masked frame of 126 to 65,535 bytes, whose head has eight
_MASKED_TWO_BYTES, _HEAD_OF_TWO_BYTES = 0x80 | 126, 8
#: opcodes of data: a message's later pieces, text, binary
_DATA = (0, 1, 2)
_INVALID_DATA = 1007


class DirectSocket(WebSocketsSansIOProtocol):
    """`uvicorn --ws heartbeat.direct_socket:DirectSocket --ws-per-message-deflate false`.

    `on_message` gets every message once it is set; until then they come by ASGI. `on_room` is called when the peer has
    taken what was written, `is_full` says that it has not yet.
    """

    on_message: Callable[[bytes], None] | None = None
    on_room: Callable[[], None] | None = None
    is_full = False
    #: what came of a frame whose end did not
    _begun = b""
    #: the library is in the middle of a message in pieces
    _in_pieces = False
    #: the peer spoke before it was let in, so the library may hold part of a frame
    _by_library = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's callback, and HTTP's when it hands the connection on: frames need no joining."""
        super().connection_made(getattr(transport, "unjoined", transport))  # type: ignore[arg-type]

    def handle_connect(self, event: Request) -> None:
        """Let the application find this socket."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][EXTENSION] = self  # type: ignore[index]

    def data_received(self, data: bytes) -> None:
        """Asyncio's callback: whole frames in place, everything else by the library."""
        if self.on_message is None:
            self._by_library = self._by_library or self.handshake_initiated
            super().data_received(data)
        elif self._by_library:
            super().data_received(data)
        else:
            self._read(self._begun + data if self._begun else data)

    def _read(self, data: bytes) -> None:
        place, size = 0, len(data)
        while size - place >= 2:
            if data[place + 1] == _MASKED_TWO_BYTES and size - place >= _HEAD_OF_TWO_BYTES:
                start = place + _HEAD_OF_TWO_BYTES
                end = start + (data[place + 2] << 8) + data[place + 3]
            else:
                start = _payload_at(data, place)
                end = start + (_length_at(data, place) if start <= size else 0)
            if end - start > self.config.ws_max_size or not data[place + 1] & _MASKED:
                self._by_library = True  # which refuses it, and so ends the connection
                super().data_received(data[place:])
                return
            if end > size:
                break
            first = data[place]
            if first in _WHOLE and not self._in_pieces:
                self._give(apply_mask(data[start:end], data[start - 4 : start]), first == _FINAL_TEXT)
            else:
                if first & _OPCODE in _DATA:
                    self._in_pieces = not first & _FINAL
                super().data_received(data[place:end])
            place = end
            if self.transport.is_closing():
                break
        self._begun = data[place:]

    def send_receive_event_to_app(self) -> None:
        """The library's callback for a message of pieces."""
        if self.on_message is None:
            super().send_receive_event_to_app()
            return
        whole, self.frames = b"".join(self.frames), []
        self._give(whole, self.curr_msg_data_type == "text")

    def _give(self, payload: bytes, is_text: bool) -> None:
        """Hand a message on; after a close of ours only the peer's answer to it is of interest."""
        if self.on_message is None or self.close_sent:
            return
        if is_text and not payload.isascii():
            try:
                payload.decode()
            except UnicodeDecodeError:
                self.conn.send_close(_INVALID_DATA)
                self.handle_parser_exception()
                return
        self.on_message(payload)

    def write_frame(self, frame: bytes) -> None:
        """Send whole frames; what comes after the end is dropped."""
        if self.handshake_complete and not (self.close_sent or self.disconnected or self.transport.is_closing()):
            self.transport.write(frame)

    def close_with(self, code: int, reason: str) -> None:
        """Close from this side; a peer that has not taken what was written is cut off instead."""
        if self.is_full:
            self.transport.abort()
        elif not (self.close_sent or self.disconnected or self.transport.is_closing()):
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)

    def pause_writing(self) -> None:
        """The transport could not hand on everything at once."""
        super().pause_writing()
        self.is_full = True

    def resume_writing(self) -> None:
        """The peer has caught up."""
        super().resume_writing()
        self.is_full = False
        if self.on_room is not None and not self.disconnected:
            self.on_room()


def _payload_at(data: bytes, place: int) -> int:
    """Where the payload of the frame at `place` begins, whose first two bytes are there."""
    length = data[place + 1] & _LENGTH
    return place + (6 if length < 126 else 8 if length == 126 else 14)


def _length_at(data: bytes, place: int) -> int:
    """How long the payload of the frame at `place` is, whose head is whole."""
    length = data[place + 1] & _LENGTH
    if length < 126:
        return length
    return int.from_bytes(data[place + 2 : place + (4 if length == 126 else 10)], "big")


def frame_of(payload: bytes, first: int = _FINAL_TEXT) -> bytes:
    """A whole frame as a server sends it, unmasked; `first` is its first byte."""
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 65_536:
        return bytes((first, 126)) + length.to_bytes(2, "big") + payload
    return bytes((first, 127)) + length.to_bytes(8, "big") + payload
