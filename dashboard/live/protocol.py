"""Uvicorn's WebSocket protocol with a way past ASGI: frames that are bytes already go straight to the transport.

`uvicorn --ws dashboard.live.protocol:BrowserSocket`. A send through ASGI makes a message, a task switch and a frame for
each socket and each text; here a text that 10,000 browsers get is one `bytes` object that all transports refer to.
The application finds the socket in `scope["extensions"]["lekiwi.frames"]`.
"""

import asyncio
import contextlib
import socket
import zlib
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.http11 import Request

EXTENSION = "lekiwi.frames"
#: what the kernel keeps for a peer that does not read, beyond what the peer's own window takes
UNSENT_BYTES = 64 * 1024
#: every message stands alone, so that one deflated text can be shared; a browser always offers this
_DEFLATE = ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)


class BrowserSocket(WebSocketsSansIOProtocol):
    """One browser's connection. `is_full` while the peer has not taken what was written; then nothing more is."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn.available_extensions = [_DEFLATE]
        self.is_full = False
        self.deflates = False
        #: called when the peer has taken everything
        self.on_room: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be told as soon as anything stays in the buffer, and keep the kernel's share of it small."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=0)
        raw = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # not every socket is TCP
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def handle_connect(self, event: Request) -> None:
        """Let the application find this socket."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][EXTENSION] = self  # type: ignore[index]
            self.deflates = any(
                isinstance(extension, PerMessageDeflate) and extension.local_max_window_bits == zlib.MAX_WBITS
                for extension in self.conn.extensions
            )

    def forget_handshake(self) -> None:
        """Let go of the request and its headers: 2.7 of the 24.6 KiB that an open socket would hold for hours."""
        self.scope.clear()  # type: ignore[attr-defined]
        del self.request, self.response

    def write_frame(self, frame: bytes) -> None:
        """Send a complete frame; one that comes after the end is dropped."""
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
