"""Many browsers in one process: raw WebSocket clients on one epoll, which do as little as a client can.

They offer compression as browsers do, answer pings, and note when each frame came. A frame that many get is the same
bytes, so it is looked into once.
"""

import base64
import json
import os
import random
import select
import socket
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

_RECEIVE_BYTES = 1 << 18
#: loopback addresses that share the local ports
_SOURCES = 4
#: frames up to this size are recognised by their bytes
_RECOGNISED_BYTES = 64 * 1024
_TEXT, _CLOSE, _PING = 0x1, 0x8, 0x9


@dataclass(slots=True)
class Frame:
    """What was in a frame: the view, whether it was whole, and when its figures were taken (seconds of the epoch)."""

    view: str
    whole: bool
    at: float


@dataclass(slots=True)
class Seen:
    """What the browsers have seen since it was begun."""

    frames: int = 0
    wholes: int = 0
    bytes: int = 0
    #: seconds from the moment of a frame's figures until it was received
    delays: list[float] = field(default_factory=list)


class Browser:
    """One connection. `has_snapshot` once a whole of a view came."""

    __slots__ = ("has_snapshot", "is_open", "rest", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.rest = b""
        self.is_open = False
        self.has_snapshot = False


class Browsers:
    """All browsers of this process."""

    def __init__(self, address: tuple[str, int], target: str, cookie: str) -> None:
        host = f"{address[0]}:{address[1]}"
        key = base64.b64encode(os.urandom(16)).decode()
        self._address = address
        self._request = (
            f"GET {target} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nCookie: {cookie}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
            "User-Agent: benchmark\r\nAccept-Language: en\r\nCache-Control: no-cache\r\n\r\n"
        ).encode()
        self._epoll = select.epoll()
        self._buffer = memoryview(bytearray(_RECEIVE_BYTES))
        self._browsers: dict[int, Browser] = {}
        self._known: dict[bytes, Frame] = {}
        self._opened_so_far = 0
        self._due: list[float] = []
        self.seen = Seen()
        self.snapshots = 0
        #: handshakes that failed and were begun again
        self.retries = 0

    def __len__(self) -> int:
        """How many there are, also those that wait to try again."""
        return len(self._browsers) + len(self._due)

    def open(self, number: int) -> None:
        """Begin to connect this many more."""
        for _ in range(number):
            self._opened_so_far += 1
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: ports are shared by address
            sock.bind((f"127.0.0.{2 + self._opened_so_far % _SOURCES}", 0))
            sock.connect_ex(self._address)
            self._browsers[sock.fileno()] = Browser(sock)
            self._epoll.register(sock, select.EPOLLOUT)

    def close(self) -> None:
        """Cut all connections."""
        for browser in self._browsers.values():
            browser.sock.close()
        self._browsers.clear()
        self._due.clear()
        self.snapshots = 0

    def run(self, until: Callable[[], bool], seconds: float) -> bool:
        """Receive until `until()` holds; False if it does not within `seconds`."""
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                return False
            for descriptor, event in self._epoll.poll(0.05, 4096):
                browser = self._browsers.get(descriptor)
                if browser is None:
                    continue
                try:
                    if event & select.EPOLLOUT:
                        browser.sock.send(self._request)
                        self._epoll.modify(descriptor, select.EPOLLIN)
                    else:
                        self._receive(browser)
                except (ConnectionResetError, BrokenPipeError, ConnectionRefusedError):
                    self._try_again(browser)
            self._reopen()
        return True

    def _try_again(self, browser: Browser) -> None:
        """As the page does: after half a second, give or take. Only for handshakes: an open socket must stay open."""
        if browser.is_open:
            raise ConnectionError("the server cut an open connection")
        self.retries += 1
        del self._browsers[browser.sock.fileno()]
        browser.sock.close()
        self._due.append(time.monotonic() + 0.5 * random.uniform(0.75, 1.25))

    def _reopen(self) -> None:
        now = time.monotonic()
        due = [moment for moment in self._due if moment <= now]
        if due:
            self._due = [moment for moment in self._due if moment > now]
            self.open(len(due))

    def _receive(self, browser: Browser) -> None:
        try:
            data = bytes(self._buffer[: browser.sock.recv_into(self._buffer)])
        except BlockingIOError:
            return
        if not data:
            raise ConnectionError(f"the server closed a connection; {browser.rest[:200]!r}")
        if browser.rest:
            data = browser.rest + data
        start = 0 if browser.is_open else self._opened(browser, data)
        now = time.time()
        while start < len(data):
            end = _end_of_frame(data, start)
            if end is None:
                break
            self._frame(browser, data[start:end], now)
            start = end
        browser.rest = data[start:]

    def _opened(self, browser: Browser, data: bytes) -> int:
        head, found, _ = data.partition(b"\r\n\r\n")
        if not found:
            return len(data) if not data else 0
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(f"the handshake was refused: {head[:200]!r}")
        browser.is_open = True
        return len(head) + 4

    def _frame(self, browser: Browser, raw: bytes, now: float) -> None:
        kind = raw[0] & 0x0F
        if kind == _PING:
            browser.sock.send(b"\x8a" + bytes([0x80 | raw[1]]) + bytes(4) + raw[2:])
            return
        if kind == _CLOSE:
            raise ConnectionError(f"the server closed a connection: {raw!r}")
        seen = self.seen
        seen.bytes += len(raw)
        frame = self._known.get(raw)
        if frame is None:
            frame = _look_into(raw)
            if len(raw) <= _RECOGNISED_BYTES:
                self._known[raw] = frame
        if not frame.view:
            return
        seen.frames += 1
        seen.wholes += frame.whole
        seen.delays.append(now - frame.at)
        if frame.whole and not browser.has_snapshot:
            browser.has_snapshot = True
            self.snapshots += 1


def _end_of_frame(data: bytes, start: int) -> int | None:
    """Where the frame that begins at `start` ends; None while it is not all there."""
    have = len(data) - start
    if have < 2:
        return None
    length, head = data[start + 1] & 0x7F, 2
    if length == 126:
        head = 4
    elif length == 127:
        head = 10
    if have < head:
        return None
    if head == 4:
        (length,) = struct.unpack_from("!H", data, start + 2)
    elif head == 10:
        (length,) = struct.unpack_from("!Q", data, start + 2)
    return start + head + length if have >= head + length else None


def payload_of(raw: bytes) -> bytes:
    """The text of a frame, inflated where it was deflated."""
    short = raw[1] & 0x7F
    body = raw[{126: 4, 127: 10}.get(short, 2) :]
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(body + b"\x00\x00\xff\xff") if raw[0] & 0x40 else body


def _look_into(raw: bytes) -> Frame:
    said = json.loads(payload_of(raw))
    if "trouble" in said:
        raise ConnectionError(f"the server has no figures: {said['trouble']}")
    if "view" not in said:
        return Frame("", False, 0.0)
    at = datetime.fromisoformat(said["at"]).timestamp()
    return Frame(said["view"], bool(said.get("whole")), at)
