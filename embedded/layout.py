"""Where one running system has its things: ports, directories, sockets (docs/architecture.md)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from embedded.errors import StartError
from embedded.monitoring import PORTS as MONITORING_PORTS
from embedded.places import short_name
from embedded.ports import LOOPBACK, check_free, free_ports

ROOT = Path(__file__).resolve().parent.parent
#: variable: (what listens there, port)
PORTS: Mapping[str, tuple[str, int]] = {
    "ROBOTS_DOOR_PORT": ("the robots' door", 8080),
    "OWN_DOOR_PORT": ("the own door", 8001),
    # The own door as well: old runbooks ask for validation and live views there.
    "OLD_VALIDATION_PORT": ("the own door's old address for validation", 8002),
    "OLD_WEBSOCKET_PORT": ("the own door's old address for live views", 9001),
    "ENVOY_ADMIN_PORT": ("Envoy's admin", 9901),
    "LEGACY_PORT": ("legacy", 8000),
    "INGEST_PORT": ("ingest", 8011),
    "SITE_PORT": ("the site", 8012),
    "LIVE_PORT": ("live", 8013),
}


def ports_from(environment: Mapping[str, str], *, with_monitoring: bool = False) -> dict[str, int]:
    """Return the port of each variable, the default where it is unset; `StartError` for one that is no port."""
    ports = {}
    for variable, (_, default) in {**PORTS, **(MONITORING_PORTS if with_monitoring else {})}.items():
        told = environment.get(variable) or str(default)
        if not told.isdecimal() or not 0 < int(told) < 65536:
            raise StartError(f"{variable} is {told!r}: set it to a port number from 1 to 65535")
        ports[variable] = int(told)
    taken: dict[int, str] = {}
    for variable, port in ports.items():
        if port in taken:
            raise StartError(f"{taken[port]} and {variable} are both {port}: give one of them another port")
        taken[port] = variable
    return ports


def any_ports(*, with_monitoring: bool = False) -> dict[str, int]:
    """Return a free port for each variable."""
    wanted = [*PORTS, *(MONITORING_PORTS if with_monitoring else ())]
    return dict(zip(wanted, free_ports(len(wanted)), strict=True))


def check_ports(ports: Mapping[str, int]) -> None:
    """Raise `PortTaken` for the first port that somebody listens on."""
    names = {**PORTS, **MONITORING_PORTS}
    for variable, port in ports.items():
        check_free(names[variable][0], variable, port)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one running system has its things."""

    state: Path
    runtime: Path
    ports: Mapping[str, int]
    robots: int
    #: share of the robots that speak v2, 0 to 1
    v2_share: float = 0.0

    @property
    def control_socket(self) -> Path:
        """The supervisor's control socket."""
        return self.runtime / "control.sock"

    @property
    def ledger(self) -> Path:
        """The fleet's record of what it sent and who acknowledged it."""
        return self.state / "fleet" / "ledger"

    @property
    def envoy_state(self) -> Path:
        """Route file, pins and latch."""
        return self.state / "envoy"

    @property
    def wal_archive(self) -> Path:
        """Finished WAL of the embedded PostgreSQL, which another account than root's writes."""
        return Path("/var/tmp") / f"lekiwi-{short_name(self.state)}-wal" if os.geteuid() == 0 else self.state / "wal"

    @property
    def environment_file(self) -> Path:
        """What a shell reads to run commands on this system."""
        return self.state / "env"

    def url(self, variable: str) -> str:
        """The address of the port that `variable` names."""
        return f"http://{LOOPBACK}:{self.ports[variable]}"
