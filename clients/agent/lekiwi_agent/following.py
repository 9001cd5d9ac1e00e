"""From one look to the next: when commands came, since when, how many a second. No clock, no I/O.

The kernel counts bytes, not commands. A connection that only stands, its handshake and its keep-alives are none: what
the host took since the look before must be as long as a command. What the host did not take is none either.
"""

from dataclasses import dataclass, field

from lekiwi_agent.layouts import Layout
from lekiwi_agent.seen import Connection, Look

#: commands per second are counted over this time
WINDOW_SECONDS = 2.0
_LEAST_WINDOW_SECONDS = 0.5

Key = tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is known of one connection to a command port. Times are seconds since the machine's start."""

    taken_bytes: int
    commanded_at: float | None = None
    since: float | None = None
    #: (moment, segments with data) of the looks within the window
    segments: tuple[tuple[float, int], ...] = ()

    @property
    def rate_hz(self) -> float | None:
        """Commands per second: each is sent as a segment of its own, as long as none is repeated."""
        if len(self.segments) < 2:
            return None
        (first_at, first), (last_at, last) = self.segments[0], self.segments[-1]
        lasted = last_at - first_at
        return (last - first) / lasted if lasted >= _LEAST_WINDOW_SECONDS else None


@dataclass(frozen=True, slots=True)
class Following:
    """What the looks so far tell. `latest`: the latest command of anybody; `since`: no gap since then."""

    at: float | None = None
    traffic: dict[Key, Traffic] = field(default_factory=dict)
    latest: float | None = None
    since: float | None = None

    def command_age(self, at: float) -> float | None:
        """Seconds since the latest command, None if none was seen."""
        return None if self.latest is None else max(0.0, at - self.latest)

    def fresh(self, layout: Layout) -> list[Traffic]:
        """The connections that commanded within the watchdog's time."""
        return [each for each in self.traffic.values() if _is_fresh(each, self.at or 0.0, layout)]

    def rate_hz(self, layout: Layout) -> float | None:
        """Commands per second now; 0 if nobody commands, None if it is not known yet."""
        fresh = self.fresh(layout)
        rates = [each.rate_hz for each in fresh if each.rate_hz is not None]
        return (sum(rates) if rates else None) if fresh else 0.0


def follow(before: Following, look: Look, layout: Layout) -> Following:
    """What is known after `look`. Without sockets nothing new is."""
    if look.sockets is None:
        return before
    commanding = [each for each in look.sockets.connections if each.port in layout.command_ports]
    traffic = {
        each.key: followed
        for each in commanding
        if (followed := _follow_one(before.traffic.get(each.key), each, look.at, before.at, layout)) is not None
    }
    fresh = [each for each in traffic.values() if _is_fresh(each, look.at, layout)]
    moments = [each.commanded_at for each in traffic.values() if each.commanded_at is not None]
    if before.latest is not None:
        moments.append(before.latest)
    return Following(look.at, traffic, max(moments, default=None), _since(before, fresh, layout))


def _since(before: Following, fresh: list[Traffic], layout: Layout) -> float | None:
    """A handover without a gap goes on; commands after a gap begin anew."""
    began = [each.since for each in fresh if each.since is not None]
    if not began:
        return None
    first = min(began)
    if before.since is None or before.latest is None:
        return first
    return min(first, before.since) if first - before.latest <= layout.command_timeout_ms / 1000 else first


def _follow_one(
    before: Traffic | None, now: Connection, at: float, looked_at: float | None, layout: Layout
) -> Traffic | None:
    if now.received_bytes is None or now.received_age_ms is None:
        return None
    taken = now.received_bytes - now.unread_bytes
    if before is not None and taken < before.taken_bytes:
        before = None  # another connection from the same port
    new_bytes = taken - (before.taken_bytes if before else layout.handshake_bytes)
    window = _window(before, at, now.received_segments)
    if new_bytes < layout.least_command_bytes:
        return Traffic(
            max(taken, layout.handshake_bytes),
            before.commanded_at if before else None,
            before.since if before else None,
            window,
        )
    arrived = at - now.received_age_ms / 1000
    return Traffic(taken, arrived, _run_since(before, now, arrived, looked_at, layout), window)


def _run_since(
    before: Traffic | None, now: Connection, arrived: float, looked_at: float | None, layout: Layout
) -> float:
    """When the present run of commands began."""
    earlier = before.segments[-1][1] if before and before.segments else layout.handshake_segments
    new = max(1, now.received_segments - earlier) if now.received_segments is not None else 1
    if before is not None and before.commanded_at is not None and before.since is not None:
        gap = arrived - before.commanded_at
        # After a late look the count tells whether they came all the while.
        if gap <= layout.command_timeout_ms / 1000 or new >= gap * layout.command_hz / 2:
            return before.since
    if looked_at is None:
        return arrived  # it ran already; since when, nobody here can say
    return max(min(looked_at, arrived), arrived - (new - 1) / layout.command_hz)


def _window(before: Traffic | None, at: float, segments: int | None) -> tuple[tuple[float, int], ...]:
    if segments is None:
        return ()
    earlier = before.segments if before else ()
    return (*(each for each in earlier if at - each[0] <= WINDOW_SECONDS), (at, segments))


def _is_fresh(traffic: Traffic, at: float, layout: Layout) -> bool:
    return traffic.commanded_at is not None and at - traffic.commanded_at <= layout.command_timeout_ms / 1000
