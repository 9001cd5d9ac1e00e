"""TCP ports on the loopback interface."""

import contextlib
import random
import socket

from embedded.errors import PortTaken, StartError

LOOPBACK = "127.0.0.1"
_OUTSIDE_EPHEMERAL = range(15000, 32000)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that nobody listens on now.

    They lie below the range that the kernel gives to outgoing connections (32768 and up), so that no client
    takes one between this call and the moment a server binds it.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(_OUTSIDE_EPHEMERAL, len(_OUTSIDE_EPHEMERAL)):
        if len(found) == count:
            return found
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            found.append(port)
    raise StartError(f"no {count} free ports between {_OUTSIDE_EPHEMERAL[0]} and {_OUTSIDE_EPHEMERAL[-1]}")


def check_free(name: str, variable: str, port: int) -> None:
    """Raise `PortTaken` naming `port` and the environment `variable` that changes it, unless it can be bound.

    Binds all addresses and the loopback: a listener on either one would take part of the traffic.
    """
    for address in ("", LOOPBACK):
        with socket.socket() as probe:
            # Without it a socket in TIME_WAIT from our own last run would count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except PermissionError as error:
                raise PortTaken(
                    f"port {port} for {name} needs root's rights: set {variable} to a port above 1023"
                ) from error
            except (OSError, OverflowError) as error:
                raise PortTaken(
                    f"port {port} for {name} is taken: stop what listens there or set {variable} to another port"
                ) from error


def listens(port: int) -> bool:
    """Say whether something accepts connections on `port` of the loopback."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0
