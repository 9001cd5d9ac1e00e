"""A browser's socket: frames that are bytes already go straight to the transport.

`uvicorn --ws dashboard.live.protocol:BrowserSocket`. A send through ASGI makes a message, a task switch and a frame for
each socket and each text; here a text that 10,000 browsers get is one `bytes` object that all transports refer to.
"""

import asyncio
import contextlib
import socket
import zlib
from typing import Any

from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.http11 import Request

from heartbeat.direct_socket import DirectSocket

#: what the kernel keeps for a peer that does not read, beyond what the peer's own window takes
UNSENT_BYTES = 64 * 1024
#: every message stands alone, so that one deflated text can be shared; a browser always offers this
_DEFLATE = ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)


class BrowserSocket(DirectSocket):
    """One browser's connection. `is_full` while the peer has not taken what was written; then nothing more is."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn.available_extensions = [_DEFLATE]
        self.deflates = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be told as soon as anything stays in the buffer, and keep the kernel's share of it small."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=0)
        raw = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # not every socket is TCP
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def handle_connect(self, event: Request) -> None:
        """Find out whether this browser takes deflated texts."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.deflates = any(
                isinstance(extension, PerMessageDeflate) and extension.local_max_window_bits == zlib.MAX_WBITS
                for extension in self.conn.extensions
            )

    def forget_handshake(self) -> None:
        """Let go of the request and its headers: 2.7 of the 24.6 KiB that an open socket would hold for hours."""
        self.scope.clear()  # type: ignore[attr-defined]
        del self.request, self.response
