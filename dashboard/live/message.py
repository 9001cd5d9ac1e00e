"""One text for any number of sockets: its WebSocket frame is made once, plain and deflated, and shared as bytes.

RFC 6455 frames of a server are not masked, and with `no_context_takeover` (RFC 7692) a compressed message depends on
no other, so the very same bytes serve every browser.
"""

import zlib
from typing import Any

import msgspec

from heartbeat.direct_socket import frame_of

#: final, text, deflated
_DEFLATED_TEXT = 0xC1
_SYNC_MARK = b"\x00\x00\xff\xff"
#: below this a deflated text is hardly shorter
WORTH_DEFLATING_BYTES = 200
_LEVEL = 6


class Message:
    """A text that has been encoded; its frames are made when somebody first needs them, and then kept."""

    __slots__ = ("_deflated", "_plain", "_text")

    def __init__(self, content: Any) -> None:
        self._text = _encode(content)
        self._plain: bytes | None = None
        self._deflated: bytes | None = None

    def frame(self, *, deflate: bool) -> bytes:
        """The whole frame, header included; deflated where the socket agreed to it and it is worth it."""
        if not deflate or len(self._text) < WORTH_DEFLATING_BYTES:
            if self._plain is None:
                self._plain = frame_of(self._text)
            return self._plain
        if self._deflated is None:
            packed = _deflate(self._text)
            self._deflated = frame_of(packed, _DEFLATED_TEXT)
        return self._deflated

    @property
    def text(self) -> bytes:
        """What a page that polls gets as the body of an answer."""
        return self._text


def _plain_text(value: Any) -> str:
    """What templates render is a `str` of their own, which msgspec does not take for one."""
    if isinstance(value, str):
        return str.__str__(value)
    raise NotImplementedError(f"{type(value).__name__} cannot travel to a page")


_encode = msgspec.json.Encoder(enc_hook=_plain_text).encode


def _deflate(text: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return (packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_SYNC_MARK)
