"""TCP ports on the loopback interface."""

import socket

from embedded.errors import PortTaken

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def free_ports(count: int) -> list[int]:
    """Return `count` different ports: all are held until the last is known, so none is given twice."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


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
