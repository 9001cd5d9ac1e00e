"""Files of /proc as text (proc(5))."""

import ipaddress
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from lekiwi_agent.seen import Connection, Listener, Sockets

_ESTABLISHED, _LISTEN = "01", "0A"
#: options of the interpreter that take the next word along
_TAKES_A_WORD = {"-W", "-X"}


def read_net_tcp(text: str, ports: frozenset[int]) -> Sockets:
    """`/proc/net/tcp` or `tcp6`: which connections stand. It has no times and no counts of bytes."""
    connections: list[Connection] = []
    listeners: list[Listener] = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) < 10:
            continue
        try:
            _, port = _end(words[1])
            remote, remote_port = _end(words[2])
            unread, inode = int(words[4].partition(":")[2], 16), int(words[9])
        except ValueError:
            continue
        if port not in ports:
            continue
        if words[3] == _LISTEN:
            listeners.append(Listener(port, inode))
        elif words[3] == _ESTABLISHED:
            connections.append(Connection(port, remote, remote_port, unread_bytes=unread))
    return Sockets(tuple(connections), tuple(listeners))


def _end(text: str) -> tuple[str, int]:
    """`0100007F:15B3`: groups of four bytes, each in the machine's order (little-endian on every robot)."""
    raw, _, port = text.partition(":")
    groups = bytes.fromhex(raw)
    if len(groups) not in (4, 16):
        raise ValueError(f"an address of {len(groups)} bytes")
    ordered = b"".join(groups[at : at + 4][::-1] for at in range(0, len(groups), 4))
    if len(ordered) == 4:
        return str(ipaddress.IPv4Address(ordered)), int(port, 16)
    address = ipaddress.IPv6Address(ordered)
    return str(address.ipv4_mapped or address), int(port, 16)


def read_stat(text: str) -> tuple[str, int]:
    """`/proc/<pid>/stat`: the state's letter and the start in clock ticks. Raises ValueError.

    The name in parentheses may hold anything, parentheses included.
    """
    words = text.rpartition(")")[2].split()
    if len(words) < 20:
        raise ValueError("too short for a process")
    return words[0], int(words[19])


def read_arguments(raw: bytes) -> tuple[str, ...]:
    """`/proc/<pid>/cmdline`; empty for a thread of the kernel's and for the dead."""
    return tuple(raw.rstrip(b"\0").decode(errors="replace").split("\0")) if raw.strip(b"\0") else ()


def runs(arguments: Sequence[str], programs: Iterable[str]) -> bool:
    """Whether these arguments run one of `programs` (a module's last name, a script, a command).

    An editor that has the program's file open, or a `grep` for its name, does not run it.
    """
    return _program(arguments) in set(programs) if arguments else False


def _program(arguments: Sequence[str]) -> str:
    name = PurePosixPath(arguments[0]).name
    if not name.startswith(("python", "pypy")):
        return name
    rest = iter(arguments[1:])
    for word in rest:
        if word == "-m":
            return next(rest, "").rpartition(".")[2]
        if word == "-c":
            return ""
        if word in _TAKES_A_WORD:
            next(rest, None)
        elif not word.startswith("-"):
            return PurePosixPath(word).name.removesuffix(".py")
    return ""


def option_in(arguments: Sequence[str], option: str) -> float | None:
    """The number given as `--option=30` or `--option 30`; the last one holds, as for the program itself."""
    found: float | None = None
    for index, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name != option or not option:
            continue
        text = value if equals else (arguments[index + 1] if index + 1 < len(arguments) else "")
        try:
            number = float(text)
        except ValueError:
            continue
        if 0 < number < 1e9:
            found = number
    return found
