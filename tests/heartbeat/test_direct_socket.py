"""Robots' frames on a real ingest, byte by byte: those that are read in place and those that the library judges."""

import base64
import json
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.databases import own_database
from tests.heartbeat.conftest import ENROLLED, TOKEN, issue_token
from tests.heartbeat.running import ingest

PATIENCE = 20
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
FINAL = 0x80


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    database = own_database(os.environ["DATABASE_URL"])
    issue_token(database)
    with ingest(database, tmp_path_factory.mktemp("ingest")) as url:
        yield url


class Robot:
    """A socket on which every byte is the test's own."""

    def __init__(self, base_url: str, receive_buffer: int = 0) -> None:
        address = urlsplit(base_url)
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((address.hostname or "", address.port or 0))
        key = base64.b64encode(os.urandom(16)).decode()
        lines = ["GET /ws/robot/ HTTP/1.1", "Host: robots", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"Authorization: Bearer {TOKEN}"]
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        self._stream = self.socket.makefile("rb")
        while self._stream.readline() != b"\r\n":
            pass

    def send(self, data: bytes, at_once: int | None = None) -> None:
        """Send it, `at_once` bytes at a time."""
        step = at_once or len(data)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(0, len(data), step):
            self.socket.sendall(data[place : place + step])

    def frame(self) -> tuple[int, bytes]:
        """The next one: opcode and payload."""
        first, length = self._stream.read(2)
        if length == 126:
            length = struct.unpack("!H", self._stream.read(2))[0]
        return first & 0x0F, self._stream.read(length)

    def acknowledged(self, count: int) -> list[int]:
        """The numbers that are acknowledged, until there are so many."""
        numbers: list[int] = []
        while len(numbers) < count:
            opcode, payload = self.frame()
            assert opcode == TEXT, (opcode, payload)
            numbers += json.loads(payload).get("sequences", [])
        return sorted(numbers)

    def closed_with(self) -> int:
        """The code with which the server closes."""
        while (frame := self.frame())[0] != CLOSE:
            pass
        return int.from_bytes(frame[1][:2], "big")


@pytest.fixture
def robot(base_url: str) -> Iterator[Robot]:
    made = Robot(base_url)
    yield made
    made.socket.close()


def said(sequence: int, boot_id: str, **more: Any) -> bytes:
    return json.dumps({"robot_id": ENROLLED, "boot_id": boot_id, "sequence": sequence, **more}).encode()


def frame(payload: bytes, first: int = FINAL | TEXT, mask: bytes = b"\x12\x9c\x00\xff") -> bytes:
    """As a robot sends it: masked."""
    size = len(payload)
    length = bytes([FINAL | size]) if size < 126 else bytes([FINAL | 126]) + struct.pack("!H", size)
    return bytes([first]) + length + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


@pytest.mark.parametrize("at_once", [1, 3, 7, 100, 131, None])
def test_frames_are_read_wherever_the_network_cuts_them(robot: Robot, at_once: int | None) -> None:
    boot_id = f"cut-{at_once}"
    frames = [frame(said(number, boot_id, message="x" * (number * 40))) for number in range(1, 6)]

    robot.send(b"".join(frames), at_once)

    assert robot.acknowledged(5) == [1, 2, 3, 4, 5]


def test_a_binary_message_is_as_good(robot: Robot) -> None:
    robot.send(frame(said(1, "binary"), FINAL | BINARY))

    assert robot.acknowledged(1) == [1]


def test_a_message_in_pieces_with_a_ping_between_is_one_message(robot: Robot) -> None:
    whole = said(1, "pieces")
    pieces = frame(whole[:10], TEXT) + frame(b"there?", FINAL | PING) + frame(whole[10:20], 0)
    # Whoever speaks before it is greeted may have its pong before the greeting.
    assert robot.frame()[1].startswith(b'{"type":"hello"')

    robot.send(pieces + frame(whole[20:], FINAL) + frame(said(2, "pieces")))

    assert robot.frame() == (PONG, b"there?")
    assert robot.acknowledged(2) == [1, 2]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(frame(b'{"robot_id": "\xff"}'), 1007, id="text that is not UTF-8"),
        pytest.param(bytes([FINAL | TEXT, 2]) + b"{}", 1002, id="no mask"),
        pytest.param(frame(b"{}", FINAL | 0x40 | TEXT), 1002, id="a bit that nobody agreed on"),
        pytest.param(frame(b"{}", FINAL | 0x5), 1002, id="an opcode that does not exist"),
        pytest.param(frame(b"{}", FINAL), 1002, id="the end of a message that never began"),
        pytest.param(frame(b"{", TEXT) + frame(b"}"), 1002, id="a new message inside another"),
        pytest.param(bytes([FINAL | TEXT, FINAL | 127]) + struct.pack("!Q", 1 << 40) + b"mask", 1009, id="a terabyte"),
    ],
)
def test_what_is_not_allowed_ends_the_connection_with_its_code(robot: Robot, data: bytes, code: int) -> None:
    robot.send(data)

    assert robot.closed_with() == code


def test_a_close_is_answered(robot: Robot) -> None:
    robot.send(frame(struct.pack("!H", 1000), FINAL | CLOSE))

    assert robot.closed_with() == 1000


def test_a_robot_that_does_not_read_is_dropped_before_it_costs_memory(base_url: str) -> None:
    robot = Robot(base_url, receive_buffer=4_096)

    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        robot.send(
            frame(b'{"type": "%s"}' % (b"?" * 64)) * 200_000, at_once=4_000
        )  # blocks for longer than `PATIENCE` if it is not dropped
    robot.socket.close()
