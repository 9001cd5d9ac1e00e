"""The kernel's socket monitoring over netlink (sock_diag(7), linux/inet_diag.h, struct tcp_info): bytes both ways.

Any user may ask, it costs no process, and it opens nothing on the ports that it asks about.
"""

import ipaddress
import struct
from collections.abc import Iterator

from lekiwi_agent.seen import Connection, Listener, Sockets

SOCK_DIAG_BY_FAMILY = 20
FAMILIES = (2, 10)  # AF_INET, AF_INET6: a host that binds [::] has its IPv4 connections in the second
ESTABLISHED, LISTEN = 1, 10

_REQUEST_DUMP = 0x1 | 0x300
_TCP = 6
_INFO = 2
_DONE, _ERROR = 3, 2
_HEADER = struct.Struct("=IHHII")
_WISH = struct.Struct("=BBBxI")
_ID = struct.Struct("!HH16s16s12x")
_STATE = struct.Struct("=BBBB")
_TAIL = struct.Struct("=IIIII")
_ATTRIBUTE = struct.Struct("=HH")
_MESSAGE_BYTES = _STATE.size + _ID.size + _TAIL.size


class DiagError(OSError):
    """The kernel refused, or said something that is no answer."""


def request(family: int, port: int, sequence: int) -> bytes:
    """Ask for all established and listening TCP sockets of this family whose own port is `port`."""
    wish = _WISH.pack(family, _TCP, 1 << (_INFO - 1), 1 << ESTABLISHED | 1 << LISTEN)
    body = wish + _ID.pack(port, 0, b"", b"")
    return _HEADER.pack(_HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, sequence, 0) + body


def read_answer(data: bytes, sequence: int) -> tuple[Sockets, bool]:
    """What one datagram tells of the request `sequence`, and whether it was the last. Raises DiagError."""
    connections: list[Connection] = []
    listeners: list[Listener] = []
    for kind, of, body in _messages(data):
        if of != sequence:
            continue  # the rest of an answer that was given up
        if kind == _DONE:
            return Sockets(tuple(connections), tuple(listeners)), True
        if kind == _ERROR:
            number = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
            raise DiagError(number, "the kernel refuses to tell of sockets")
        if kind == SOCK_DIAG_BY_FAMILY:
            found = _socket(body)
            if isinstance(found, Connection):
                connections.append(found)
            elif found is not None:
                listeners.append(found)
    return Sockets(tuple(connections), tuple(listeners)), False


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            raise DiagError(0, f"a message of {length} bytes in {len(data) - at}")
        yield kind, sequence, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _socket(body: bytes) -> Connection | Listener | None:
    if len(body) < _MESSAGE_BYTES:
        raise DiagError(0, f"a socket of {len(body)} bytes")
    family, state, _, _ = _STATE.unpack_from(body)
    port, remote_port, _, remote = _ID.unpack_from(body, _STATE.size)
    _, unread, _, _, inode = _TAIL.unpack_from(body, _STATE.size + _ID.size)
    if state == LISTEN:
        return Listener(port, inode)
    if state != ESTABLISHED:
        return None
    info = _attribute(body[_MESSAGE_BYTES:], _INFO)
    return Connection(
        port=port,
        remote=address_in(remote, family),
        remote_port=remote_port,
        unread_bytes=unread,
        received_age_ms=_number(info, "=I", 52),
        sent_age_ms=_number(info, "=I", 44),
        acknowledged_age_ms=_number(info, "=I", 56),
        received_bytes=_number(info, "=Q", 128),
        # bytes_sent came with Linux 4.19; before, what was acknowledged has to do
        sent_bytes=_number(info, "=Q", 200) if len(info) >= 208 else _number(info, "=Q", 120),
        received_segments=_number(info, "=I", 152),
        rtt_ms=None if (rtt := _number(info, "=I", 68)) is None else rtt / 1000,
    )


def address_in(raw: bytes, family: int) -> str:
    """An address of the kernel's, an IPv4 one inside IPv6 as IPv4."""
    if family == FAMILIES[0]:
        return str(ipaddress.IPv4Address(raw[:4]))
    address = ipaddress.IPv6Address(raw)
    return str(address.ipv4_mapped or address)


def _attribute(data: bytes, wanted: int) -> bytes:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            raise DiagError(0, f"an attribute of {length} bytes in {len(data) - at}")
        if kind == wanted:
            return data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return b""


def _number(info: bytes, form: str, at: int) -> int | None:
    """A field of tcp_info, None on a kernel that is too old to have it."""
    return int(struct.unpack_from(form, info, at)[0]) if len(info) >= at + struct.calcsize(form) else None
