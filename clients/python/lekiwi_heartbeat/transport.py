"""Blocking sockets of a robot's client: one keep-alive HTTP connection, one WebSocket."""

import contextlib
import http.client
import json
import select
import socket
import ssl
import time
from urllib.parse import urlsplit

from lekiwi_heartbeat import frames, words
from lekiwi_heartbeat.actions import Answer
from lekiwi_heartbeat.answers import retry_after_in

HANDSHAKE_SECONDS = 2.0
#: an open socket whose buffer stays full this long is of no use
SEND_SECONDS = 2.0
#: servers close idle connections; one that rested longer is not trusted
MOST_IDLE_SECONDS = 20.0
MOST_ANSWER_BYTES = 4 << 20


class Address:
    """`https://host[:port]` of the robots' door. Raises ValueError for anything else."""

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        where = urlsplit(url)
        if where.scheme not in ("http", "https") or not where.hostname or where.path not in ("", "/"):
            raise ValueError(f"url: an address like https://heartbeat.example.org, not {url!r}")
        self.host, self.netloc = where.hostname, where.netloc
        self.port = where.port or (443 if where.scheme == "https" else 80)
        self.context = (context or ssl.create_default_context()) if where.scheme == "https" else None

    def connect(self, seconds: float) -> socket.socket:
        """A connected socket, TLS included."""
        plain = socket.create_connection((self.host, self.port), timeout=seconds)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(plain, server_hostname=self.host) if self.context else plain


class Requests:
    """HTTP over one connection that is kept."""

    def __init__(self, address: Address, token: str | None) -> None:
        self._address = address
        self._headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
        self._connection: http.client.HTTPConnection | None = None
        self._rests_since = 0.0

    def post(self, path: str, body: bytes, seconds: float) -> Answer | None:
        """The answer, or None when none came within about `seconds`."""
        fresh = self._connection is None or time.monotonic() - self._rests_since > MOST_IDLE_SECONDS
        try:
            return self._exchange(path, body, seconds, fresh)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # A resting connection that the server has closed is no failure of the system's; everything may be resent.
            if fresh:
                self.close()
                return None
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            return None
        try:
            return self._exchange(path, body, seconds, True)
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            return None

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, path: str, body: bytes, seconds: float, fresh: bool) -> Answer:
        if fresh:
            self.close()
            self._connection = http.client.HTTPConnection(self._address.host, self._address.port)
            self._connection.sock = self._address.connect(seconds)
        assert self._connection is not None
        self._connection.sock.settimeout(seconds)
        headers = {**self._headers, "host": self._address.netloc}
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        content = response.read(MOST_ANSWER_BYTES)
        self._rests_since = time.monotonic()
        if response.will_close or not response.isclosed():
            self.close()
        return Answer(response.status, parsed(content), retry_after_in(response.getheader("retry-after")))


class Socket:
    """An open WebSocket. `fileno` makes it selectable."""

    def __init__(self, plain: socket.socket, rest: bytes) -> None:
        self._plain = plain
        self._conversation = frames.Conversation()
        self._early = rest

    @property
    def closed_with(self) -> int | None:
        """The code that the other side closed with."""
        return self._conversation.closed_with

    def fileno(self) -> int:
        """For `select`."""
        return self._plain.fileno()

    def send(self, messages: tuple[bytes, ...]) -> None:
        """Send text frames. Raises OSError."""
        self._plain.settimeout(SEND_SECONDS)
        self._plain.sendall(b"".join(frames.frame(frames.TEXT, message) for message in messages))

    def receive(self) -> list[bytes] | None:
        """The messages that have arrived, without waiting; None when the connection has ended. Raises OSError."""
        data, self._early = self._early, b""
        data += self._arrived()
        if not data and self._ended:
            return None
        messages = self._conversation.receive(data)
        if self._conversation.to_send:
            self._plain.settimeout(SEND_SECONDS)
            with contextlib.suppress(OSError):  # the answer to a close may find nobody there
                self._plain.sendall(self._conversation.to_send)
            self._conversation.to_send.clear()
        return messages

    def close(self) -> None:
        """Say goodbye if that costs nothing, and close."""
        with contextlib.suppress(OSError):
            self._plain.setblocking(False)
            self._plain.send(frames.frame(frames.CLOSE, (1000).to_bytes(2, "big")))
        self._plain.close()

    _ended = False

    def _arrived(self) -> bytes:
        parts = []
        self._plain.setblocking(False)
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
            while part := self._plain.recv(65536):
                parts.append(part)
            self._ended = True
        return b"".join(parts)


def open_socket(address: Address, token: str | None) -> "Socket | Answer":
    """Shake hands: the open socket, or what was answered instead. Raises OSError or frames.ProtocolError."""
    plain = address.connect(HANDSHAKE_SECONDS)
    try:
        key = frames.new_key()
        plain.sendall(frames.request(words.SOCKET, address.netloc, token, key))
        head = _head(plain, time.monotonic() + HANDSHAKE_SECONDS)
        if head.status == 101:
            frames.check_accepted(head, key)
            return Socket(plain, head.rest)
    except BaseException:
        plain.close()
        raise
    plain.close()
    return Answer(head.status, parsed(head.rest), retry_after_in(head.headers.get("retry-after")))


def _head(plain: socket.socket, deadline: float) -> frames.Head:
    data = b""
    while True:
        plain.settimeout(max(0.01, deadline - time.monotonic()))
        part = plain.recv(4096)
        if not part:
            raise ConnectionResetError("closed during the handshake")
        data += part
        if (head := frames.read_head(data)) is not None:
            return head
        if time.monotonic() > deadline:
            raise TimeoutError("the handshake took too long")


def parsed(content: bytes) -> object:
    """JSON, or None for what is none."""
    try:
        return json.loads(content)
    except ValueError:
        return None


def wait_readable(what: "list[Socket | socket.socket]", seconds: float | None) -> None:
    """Return when one of them has something to read, at the latest after `seconds`."""
    poll = select.poll()  # select() knows no descriptor above 1,023
    for one in what:
        poll.register(one.fileno(), select.POLLIN)
    poll.poll(None if seconds is None else max(0.0, seconds) * 1000)
