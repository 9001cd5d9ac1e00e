"""A look as the heartbeat's member `teleop`, and as what cannot be seen. What is not known is left out."""

from typing import Any

from lekiwi_agent.following import Following
from lekiwi_agent.layouts import Layout
from lekiwi_agent.proc_text import option_in
from lekiwi_agent.seen import Connection, Look

MOST_FLOWS = 32
MOST_OBSERVERS = 16
#: a round trip is measured when data is sent: an older figure is of another time
FRESH_ROUND_TRIP_MS = 5_000.0

#: what no look from outside the host can find, whatever the privilege
NEVER_SEEN = {
    "watchdog": "the host tells nobody; it stops the base without a command for its time",
    "operator": "a connection has an address and no name",
    "driver": "a person's commands look like a program's",
    "fps": "frames cannot be told apart in a stream",
}


def teleop(look: Look, following: Following, layout: Layout, next_in_s: float) -> dict[str, Any]:
    """The fields of `teleop`; ages in milliseconds at `measured_ms`."""
    said: dict[str, Any] = {
        "host_up": host_up(look, layout),
        "service": None if look.service == "unknown" else look.service,
        **_host_times(look, layout),
        **_commands(look, following, layout),
        **_observers(look, layout),
        "flows": _flows(look, following, layout),
        "measured_ms": _rounded(look.at * 1000),
        "next_in_ms": _rounded(next_in_s * 1000),
    }
    return {name: value for name, value in said.items() if value is not None}


def host_up(look: Look, layout: Layout) -> bool | None:
    """Whether the host can take commands; None where that cannot be known."""
    if look.host is not None and not look.host.takes_part:
        return False
    if look.sockets is not None and look.sockets.listens_on(layout.command_ports):
        return True
    if look.host is not None:
        return True if not layout.host_listens else None
    if look.sockets is not None and layout.host_listens:
        return False
    return False if look.processes_seen and layout.host_programs else None


def unseen(look: Look, layout: Layout) -> dict[str, str]:
    """What cannot be seen, and why: for the report's reader and the log."""
    missing = {**NEVER_SEEN, **look.unseen}
    listens = look.sockets is not None and look.sockets.listens_on(layout.command_ports)
    if look.host is not None and look.sockets is not None and not listens:
        why = (
            "the host runs and binds no port here: it starts, or has a network namespace of its own"
            if layout.host_listens
            else "the program on the robot takes commands without a port"
        )
        missing["commands"] = why
    return missing


def changed(before: dict[str, Any] | None, now: dict[str, Any], layout: Layout) -> bool:
    """Whether something happened that nobody should wait for."""
    return before is None or _standing(before, layout) != _standing(now, layout)


def operated(said: dict[str, Any], layout: Layout) -> bool:
    """Whether a command came within the watchdog's time."""
    age = said.get("command_age_ms")
    return age is not None and age <= layout.command_timeout_ms


def _standing(said: dict[str, Any], layout: Layout) -> tuple[Any, ...]:
    flows = said.get("flows")
    ends = None if flows is None else sorted((flow["port"], flow["remote"]) for flow in flows)
    fresh = [flow for flow in flows or () if _commands_on(flow, layout)]
    return (
        said.get("host_up"),
        said.get("service"),
        said.get("observers"),
        operated(said, layout),
        ends,
        sorted(flow["remote"] for flow in fresh),
    )


def _commands_on(flow: dict[str, Any], layout: Layout) -> bool:
    age = flow.get("received_age_ms")
    return flow["port"] in layout.command_ports and age is not None and age <= layout.command_timeout_ms


def _host_times(look: Look, layout: Layout) -> dict[str, Any]:
    if look.host is None:
        return {}
    given = option_in(look.host.arguments, layout.host_runs_for_option)
    lasts = given if given is not None else layout.host_runs_for_s
    return {
        "host_up_for_ms": _rounded(max(0.0, look.at - look.host.started_s) * 1000),
        "host_runs_for_ms": None if lasts is None else _rounded(lasts * 1000),
    }


def _commands(look: Look, following: Following, layout: Layout) -> dict[str, Any]:
    if look.sockets is None:
        return {}
    age = following.command_age(look.at)
    since = following.since
    return {
        "command_age_ms": None if age is None else _rounded(age * 1000),
        "command_rate_hz": None if (rate := following.rate_hz(layout)) is None or age is None else _rounded(rate),
        "commanded_for_ms": None if since is None else _rounded(max(0.0, look.at - since) * 1000),
    }


def _observers(look: Look, layout: Layout) -> dict[str, Any]:
    if look.sockets is None or not _can_be_seen(look, layout):
        return {}
    readers = [each for each in look.sockets.connections if each.port in layout.observation_ports and _speaks(each)]
    ages = sorted(
        max(each.sent_age_ms, each.acknowledged_age_ms)
        for each in readers
        if each.sent_age_ms is not None and each.acknowledged_age_ms is not None
    )
    known = ages if len(ages) == len(readers) else None
    return {"observers": len(readers), "observer_ages_ms": None if known is None else _ends_of(known)}


def _ends_of(ages: list[float]) -> list[float]:
    """The quickest and the slowest, and who fits between."""
    return [*ages[: MOST_OBSERVERS - 1], ages[-1]] if len(ages) > MOST_OBSERVERS else ages


def _speaks(connection: Connection) -> bool:
    """A port scan connects too, and says nothing. Where bytes are not told, a connection has to do."""
    return connection.received_bytes is None or connection.received_bytes > 0


def _flows(look: Look, following: Following, layout: Layout) -> list[dict[str, Any]] | None:
    if look.sockets is None or not _can_be_seen(look, layout):
        return None
    ordered = sorted(look.sockets.connections, key=lambda each: (each.port not in layout.command_ports, each.port))
    return [_flow(each, look, following, layout) for each in ordered[:MOST_FLOWS]]


def _can_be_seen(look: Look, layout: Layout) -> bool:
    """“Nobody is connected” is a fact only where the host's ports are in sight, or no host runs."""
    assert look.sockets is not None
    return look.sockets.listens_on(layout.ports) or bool(look.sockets.connections) or look.host is None


def _flow(connection: Connection, look: Look, following: Following, layout: Layout) -> dict[str, Any]:
    age: float | None = connection.received_age_ms
    if connection.port in layout.command_ports:
        known = following.traffic.get(connection.key)
        commanded = known.commanded_at if known else None
        age = None if commanded is None else max(0.0, look.at - commanded) * 1000
    said = {
        "port": connection.port,
        "remote": connection.remote,
        "received_age_ms": None if age is None else _rounded(age),
        "received_bytes": connection.received_bytes,
        "rtt_ms": _round_trip(connection),
    }
    return {name: value for name, value in said.items() if value is not None}


def _round_trip(connection: Connection) -> float | None:
    """Measured when the robot sends: a command connection has one of its handshake only, which is soon of the past."""
    age = connection.sent_age_ms
    return connection.rtt_ms if age is not None and age <= FRESH_ROUND_TRIP_MS else None


def _rounded(number: float) -> float:
    return round(number, 1)
