"""From one look to the next: what is a command, since when, how many."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lekiwi_agent.describing import changed, teleop, unseen
from lekiwi_agent.following import Following, follow
from lekiwi_agent.layouts import Layout, layout_for
from lekiwi_agent.seen import Connection, Listener, Look, Process, Sockets

LAYOUT = layout_for("lekiwi", "")
HANDSHAKE, COMMAND = 92, 300
LISTENS = (Listener(5555, 1), Listener(5556, 2))


def command(sent: int, age_ms: float, remote: str = "192.168.1.7", **more: object) -> Connection:
    """A connection on which `sent` commands came, the latest `age_ms` ago."""
    connection = Connection(
        port=5555,
        remote=remote,
        remote_port=50_000,
        received_age_ms=age_ms,
        received_bytes=HANDSHAKE + sent * COMMAND,
        received_segments=3 + sent,
        rtt_ms=3.0,
        sent_age_ms=60_000.0,
    )
    return replace(connection, **more)


def look(at: float, *connections: Connection, **more: object) -> Look:
    return replace(Look(at, Sockets(connections, LISTENS), processes_seen=True), **more)


def followed(*looks: Look, layout: Layout = LAYOUT) -> Following:
    state = Following()
    for each in looks:
        state = follow(state, each, layout)
    return state


def told(*looks: Look, layout: Layout = LAYOUT) -> dict[str, object]:
    return teleop(looks[-1], followed(*looks, layout=layout), layout, 5.0)


def driven(start: float, end: float, step: float = 0.2, hz: float = 30.0) -> list[Look]:
    """Looks every `step` s at an operator who commands from `start` on."""
    looks = [look(start - 2 * step), look(start - step)]
    for number in range(round((end - start) / step) + 1):
        lasted = number * step
        sent = int(lasted * hz + 1e-6) + 1
        looks.append(look(start + lasted, command(sent, max(0.0, lasted - (sent - 1) / hz) * 1000)))
    return looks


def test_a_connection_that_only_shakes_hands_is_no_command() -> None:
    said = told(look(10.0), look(10.2, command(0, 5.0)))

    assert "command_age_ms" not in said
    assert "received_age_ms" not in said["flows"][0]


def test_keep_alives_are_no_commands() -> None:
    looks = [look(10 + n / 5, command(0, 1.0, received_bytes=HANDSHAKE + 20 * n)) for n in range(30)]

    assert "command_age_ms" not in told(look(9.8), *looks)


def test_commands_are_told_with_their_age_and_rate_and_since_when() -> None:
    said = told(*driven(start=10.0, end=13.0))

    assert said["command_age_ms"] <= 1000 / 30
    assert said["command_rate_hz"] == pytest.approx(30, abs=1)
    assert said["commanded_for_ms"] == pytest.approx(said["measured_ms"] - 10_000, abs=50)
    assert said["flows"][0]["received_age_ms"] == said["command_age_ms"]


@given(start=st.floats(10, 11), hz=st.floats(10, 60), step=st.floats(0.05, 0.45))
def test_the_start_is_dated_within_a_look_and_never_before_the_look_that_saw_nothing(
    start: float, hz: float, step: float
) -> None:
    looks = driven(start, start + 2, step, hz)

    said = told(*looks)

    began = (said["measured_ms"] - said["commanded_for_ms"]) / 1000
    assert start - step - 0.001 <= began <= start + step + 0.001


def test_a_gap_that_the_watchdog_would_notice_begins_a_new_run() -> None:
    looks = driven(10.0, 12.0)
    sent = 61
    looks += [look(12.0 + n / 5, command(sent, n * 200.0)) for n in range(1, 6)]
    assert "commanded_for_ms" not in told(*looks)

    looks.append(look(13.2, command(sent + 3, 10.0)))

    assert told(*looks)["commanded_for_ms"] <= 200


def test_a_look_that_comes_late_does_not_break_a_run_that_went_on() -> None:
    looks = [*driven(10.0, 12.0), look(15.0, command(151, 10.0))]

    assert told(*looks)["commanded_for_ms"] == pytest.approx(5_000, abs=50)


def test_commands_that_a_stopped_host_does_not_take_are_none() -> None:
    looks = driven(10.0, 12.0)
    waiting = [look(12.0 + n / 5, command(61 + 6 * n, 5.0, unread_bytes=6 * n * COMMAND)) for n in range(1, 6)]

    said = told(*looks, *waiting)

    assert said["command_age_ms"] == pytest.approx(1_000, abs=50)
    assert "commanded_for_ms" not in said


def test_the_age_goes_on_after_the_operator_has_left() -> None:
    looks = [*driven(10.0, 12.0), look(12.2), look(15.0)]

    said = told(*looks)

    assert said["command_age_ms"] == pytest.approx(3_000, abs=50)
    assert (said["flows"], said["command_rate_hz"]) == ([], 0)


def test_a_handover_without_a_gap_is_one_run_and_two_flows() -> None:
    looks = driven(10.0, 12.0)
    looks += [
        look(12.2, command(61, 200.0), command(4, 10.0, "192.168.1.9")),
        look(12.4, command(9, 10.0, "192.168.1.9")),
    ]

    assert told(*looks)["commanded_for_ms"] == pytest.approx(2_400, abs=50)
    assert [flow["remote"] for flow in told(*looks[:-1])["flows"]] == ["192.168.1.7", "192.168.1.9"]


def test_an_agent_that_starts_late_claims_no_more_than_it_saw() -> None:
    assert told(look(100.0, command(9_000, 20.0)))["commanded_for_ms"] == 20.0


def test_a_new_connection_from_the_same_port_is_another_one() -> None:
    looks = [*driven(10.0, 12.0), look(12.2, command(0, 5.0))]

    assert told(*looks)["command_age_ms"] == pytest.approx(200, abs=40)


def test_without_times_nothing_is_claimed_of_commands() -> None:
    bare = Connection(5555, "192.168.1.7", 50_000)

    said = told(look(10.0, bare), look(10.2, bare))

    assert said["flows"] == [{"port": 5555, "remote": "192.168.1.7"}]
    assert not {"command_age_ms", "command_rate_hz", "commanded_for_ms"} & said.keys()


def test_observers_are_counted_by_who_takes_frames() -> None:
    reads = Connection(5556, "a", 1, received_bytes=92, sent_age_ms=20.0, acknowledged_age_ms=22.0, rtt_ms=3.0)
    gone = replace(reads, remote="b", acknowledged_age_ms=9_000.0)
    scan = replace(reads, remote="c", received_bytes=0)

    said = told(look(10.0, reads, gone, scan))

    assert (said["observers"], said["observer_ages_ms"]) == (2, [22.0, 9_000.0])


def test_a_round_trip_of_the_past_is_not_told() -> None:
    fresh = Connection(5556, "a", 1, received_bytes=92, sent_age_ms=20.0, acknowledged_age_ms=22.0, rtt_ms=31.5)

    said = told(look(10.0, command(1, 5.0), fresh))

    assert [flow.get("rtt_ms") for flow in said["flows"]] == [None, 31.5]


HOST = Process(17, "S", 4.0, ("python", "-m", "lekiwi_host", "--host.connection_time_s=60"))
NO_PORT = {"sockets": Sockets()}


@pytest.mark.parametrize(
    ("seen", "up"),
    [
        (look(10.0, host=HOST), True),
        (look(10.0), True),
        (look(10.0, host=replace(HOST, state="T")), False),
        (look(10.0, host=replace(HOST, state="Z")), False),
        (look(10.0, **NO_PORT), False),
        (look(10.0, host=HOST, **NO_PORT), None),
        (look(10.0, host=HOST, sockets=None), None),
        (look(10.0, sockets=None), False),
        (look(10.0, sockets=None, processes_seen=False), None),
    ],
)
def test_a_host_is_up_when_it_can_take_commands(seen: Look, up: bool | None) -> None:
    assert told(seen).get("host_up") is up


def test_the_host_tells_how_long_it_has_run_and_will_run() -> None:
    said = told(look(10.0, host=HOST))

    assert (said["host_up_for_ms"], said["host_runs_for_ms"]) == (6_000, 60_000)


def test_an_xle_that_is_driven_on_the_robot_itself_has_no_ports_to_look_at() -> None:
    layout = layout_for("xle", "")
    seen = look(10.0, host=replace(HOST, arguments=("python", "xlerobot_teleop.py")), **NO_PORT)

    said = told(seen, layout=layout)

    assert said["host_up"] is True
    assert not {"flows", "observers", "command_age_ms"} & said.keys(), "nobody connected is not nobody there"
    assert unseen(seen, layout)["commands"] == "the program on the robot takes commands without a port"


def test_a_host_in_a_network_of_its_own_is_said_to_be_out_of_sight() -> None:
    seen = look(10.0, host=HOST, **NO_PORT)

    assert "network namespace" in unseen(seen, LAYOUT)["commands"]
    assert "flows" not in told(seen)


def test_what_cannot_be_known_is_never_claimed() -> None:
    assert {"watchdog", "operator", "driver", "fps"} <= unseen(look(10.0), LAYOUT).keys()
    assert not {"driver", "watchdog_active", "operators", "peers", "devices"} & told(*driven(10.0, 12.0)).keys()


def test_what_happens_is_told_at_once_and_what_only_counts_is_not() -> None:
    looks = driven(10.0, 12.0)
    idle, begins, goes_on = told(*looks[:2]), told(*looks[:3]), told(*looks[:5])

    assert changed(None, idle, LAYOUT)
    assert changed(idle, begins, LAYOUT)
    assert not changed(begins, goes_on, LAYOUT)
    assert changed(goes_on, told(*looks, look(13.0, command(61, 1000.0))), LAYOUT)
