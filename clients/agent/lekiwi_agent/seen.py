"""What was seen at one moment. None is “cannot be seen”, never “no”."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Connection:
    """An established connection to one of the robot's own ports, as the kernel counts it.

    Ages are milliseconds since the latest data arrived, was sent, and was acknowledged. `unread_bytes` wait for the
    host.
    """

    port: int
    remote: str
    remote_port: int
    unread_bytes: int = 0
    received_age_ms: float | None = None
    sent_age_ms: float | None = None
    acknowledged_age_ms: float | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None
    received_segments: int | None = None
    rtt_ms: float | None = None

    @property
    def key(self) -> tuple[int, str, int]:
        """What tells it from others."""
        return (self.port, self.remote, self.remote_port)


@dataclass(frozen=True, slots=True)
class Listener:
    """A port that somebody listens on, and the socket's inode (0: unknown)."""

    port: int
    inode: int = 0


@dataclass(frozen=True, slots=True)
class Sockets:
    """The connections to the ports that were asked for, and which of these are listened on."""

    connections: tuple[Connection, ...] = ()
    listeners: tuple[Listener, ...] = ()

    def listens_on(self, ports: frozenset[int]) -> bool:
        """Whether somebody listens on one of them."""
        return any(each.port in ports for each in self.listeners)


@dataclass(frozen=True, slots=True)
class Process:
    """A program that runs: `state` is the kernel's letter, `started_s` seconds since the machine's start."""

    pid: int
    state: str
    started_s: float
    arguments: tuple[str, ...] = ()

    @property
    def takes_part(self) -> bool:
        """Whether it can do anything: it is neither stopped nor dead."""
        return self.state not in ("T", "t", "Z", "X", "x")


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the robot, `at` seconds since the machine's start.

    `sockets` is None where no way of asking the kernel works. `unseen`: what cannot be seen → why.
    """

    at: float
    sockets: Sockets | None = None
    host: Process | None = None
    #: whether a host that runs would have been found
    processes_seen: bool = False
    #: active, inactive or unknown
    service: str = "unknown"
    unseen: dict[str, str] = field(default_factory=dict)
