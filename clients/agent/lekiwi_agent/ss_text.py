"""`ss -tinaHO` as text: one line a socket, then (or, without -O, on a line below) what TCP knows of it.

    ESTAB 0 0 192.168.1.20:5555 192.168.1.7:51514 bbr … rtt:3.1/0.4 … bytes_received:8204 … lastsnd:12 lastrcv:36 …

`ss` leaves out what is zero, so a connection whose data arrives this very millisecond has no `lastrcv`.
"""

import re

from lekiwi_agent.seen import Connection, Listener, Sockets

_KEY = re.compile(r"^([a-z_]+):([0-9][0-9./]*)$")
_STATES = {"ESTAB", "LISTEN"}
#: every connection with details has this one
_PROOF_OF_DETAILS = "rto"


def read_sockets(text: str) -> Sockets:
    """Every established connection and listener; a line that is neither tells nothing."""
    connections: list[Connection] = []
    listeners: list[Listener] = []
    for line in _joined(text):
        words = line.split()
        if len(words) < 5 or words[0] not in _STATES:
            continue
        here, there = _end(words[3]), _end(words[4])
        if here is None or not words[1].isdecimal():
            continue
        if words[0] == "LISTEN":
            listeners.append(Listener(here[1], _inode(words[5:])))
        elif there is not None:
            connections.append(_connection(here[1], there, int(words[1]), words[5:]))
    return Sockets(tuple(connections), tuple(listeners))


def _joined(text: str) -> list[str]:
    """Details of older versions stand on a line of their own, which begins with white space."""
    lines: list[str] = []
    for line in text.splitlines():
        if line[:1].isspace() and lines:
            lines[-1] += " " + line.strip()
        elif line:
            lines.append(line)
    return lines


def _connection(port: int, there: tuple[str, int], unread: int, words: list[str]) -> Connection:
    known = {found[1]: found[2] for word in words if (found := _KEY.match(word))}
    has_details = _PROOF_OF_DETAILS in known
    return Connection(
        port=port,
        remote=there[0],
        remote_port=there[1],
        unread_bytes=unread,
        received_age_ms=_number(known, "lastrcv", has_details),
        sent_age_ms=_number(known, "lastsnd", has_details),
        acknowledged_age_ms=_number(known, "lastack", has_details),
        received_bytes=_whole(known, "bytes_received", has_details),
        sent_bytes=_whole(known, "bytes_sent" if "bytes_sent" in known else "bytes_acked", has_details),
        received_segments=_whole(known, "data_segs_in", has_details),
        rtt_ms=_number(known, "rtt", False),
    )


def _end(text: str) -> tuple[str, int] | None:
    """`192.168.1.7:51514`, `[::ffff:192.168.1.7]:51514`, `10.0.0.2%eth0:5555`, `*:5555`."""
    address, _, port = text.rpartition(":")
    if not address or not port.isdecimal() or not 1 <= int(port) <= 65_535:
        return None
    bare = address.strip("[]").partition("%")[0]
    return bare.removeprefix("::ffff:"), int(port)


def _inode(words: list[str]) -> int:
    return next((int(word[4:]) for word in words if word.startswith("ino:") and word[4:].isdecimal()), 0)


def _number(known: dict[str, str], name: str, zero_if_absent: bool) -> float | None:
    if name not in known:
        return 0.0 if zero_if_absent else None
    try:
        return float(known[name].partition("/")[0])
    except ValueError:
        return None


def _whole(known: dict[str, str], name: str, zero_if_absent: bool) -> int | None:
    number = _number(known, name, zero_if_absent)
    return None if number is None else int(number)
