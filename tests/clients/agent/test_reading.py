"""What the kernel and systemd say, recorded from a host on 5555 and 5556, and what nobody should believe."""

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lekiwi_agent import diag_bytes, proc_text, ss_text, unit_text
from lekiwi_agent.diag_bytes import DiagError
from lekiwi_agent.layouts import BadLayout, layout_for, read_layout
from lekiwi_agent.seen import Sockets

SAMPLES = Path(__file__).with_name("samples")
PORTS = frozenset({5555, 5556})

PI = (
    "LISTEN 0      100          0.0.0.0:5555       0.0.0.0:*    ino:31337 sk:1 <->\n"
    "ESTAB  0      0       192.168.1.20:5555  192.168.1.7:51514 ino:31339 sk:2 <->\n"
    "\t cubic wscale:7,7 rto:228 rtt:25.391/12.1 ato:40 mss:1448 pmtu:1500 rcvmss:536 advmss:1448 cwnd:10"
    " bytes_sent:92 bytes_acked:92 bytes_received:8204 segs_out:29 segs_in:33 data_segs_out:3 data_segs_in:31"
    " send 4562409bps lastsnd:1036 lastack:1004 pacing_rate 9124720bps delivered:4 rcv_rtt:33 minrtt:23.1\n"
    "ESTAB  0      48211 [::ffff:192.168.1.20]:5556 [::ffff:192.168.1.7]:51520 timer:(on,198ms,0) ino:31340 sk:3 <->\n"
    "\t cubic wscale:7,7 rto:228 backoff:1 rtt:301.5/80 cwnd:1 bytes_sent:912000 bytes_retrans:2896 lastsnd:12"
    " lastrcv:9000 lastack:700 bytes_received:92 data_segs_in:3\n"
    "ESTAB  0      0       192.168.1.20%wlan0:5556  [fe80::1%wlan0]:51522\n"
)


def recorded_by_netlink() -> Sockets:
    found = [
        diag_bytes.read_answer(bytes.fromhex((SAMPLES / f"diag_{port}.hex").read_text()), 7)[0] for port in (5555, 5556)
    ]
    return Sockets(found[0].connections + found[1].connections, found[0].listeners + found[1].listeners)


def test_netlink_tells_the_last_receive_the_bytes_and_the_round_trip() -> None:
    command, observation = recorded_by_netlink().connections

    assert (command.port, command.remote, command.remote_port) == (5555, "127.0.0.1", 59114)
    assert (command.received_bytes, command.received_segments, command.unread_bytes) == (4702, 63, 0)
    assert command.received_age_ms == pytest.approx(784, abs=60)
    assert command.rtt_ms == pytest.approx(0.017, abs=0.001)
    assert (observation.port, observation.received_bytes, observation.sent_bytes) == (5556, 92, 1_383_532)
    assert observation.sent_age_ms == pytest.approx(492, abs=60)


def test_ss_and_netlink_recorded_at_one_moment_say_the_same() -> None:
    by_ss, by_netlink = ss_text.read_sockets((SAMPLES / "ss.txt").read_text()), recorded_by_netlink()

    assert by_ss.listeners == by_netlink.listeners
    for one, other in zip(by_ss.connections, by_netlink.connections, strict=True):
        assert (one.key, one.received_bytes, one.sent_bytes) == (other.key, other.received_bytes, other.sent_bytes)
        assert (one.received_segments, one.unread_bytes) == (other.received_segments, other.unread_bytes)
        assert one.rtt_ms == pytest.approx(other.rtt_ms, abs=0.001)
        assert one.received_age_ms == pytest.approx(other.received_age_ms, abs=60)


def test_proc_net_tcp_tells_who_is_connected_and_no_more() -> None:
    found = proc_text.read_net_tcp((SAMPLES / "net_tcp.txt").read_text(), PORTS)

    assert {each.key for each in found.connections} == {each.key for each in recorded_by_netlink().connections}
    assert {each.received_age_ms for each in found.connections} == {None}
    assert found.listeners == recorded_by_netlink().listeners


def test_addresses_of_ipv6_in_proc_net_tcp6_are_read() -> None:
    line = "0: 0000000000000000FFFF00001401A8C0:15B3 0000000000000000FFFF00000701A8C0:C93A 01 0:0 0:0 0 0 0 77 1"

    (found,) = proc_text.read_net_tcp("heading\n" + line, PORTS).connections

    assert found.key == (5555, "192.168.1.7", 51514)


def test_ss_of_a_robot_with_wifi_is_read() -> None:
    found = ss_text.read_sockets(PI)

    command, observation, bare = found.connections
    assert found.listeners[0].inode == 31337
    assert command.received_age_ms == 0, "ss leaves out what is zero"
    assert (command.rtt_ms, command.received_bytes, command.sent_age_ms) == (25.391, 8204, 1036)
    assert (observation.remote, observation.rtt_ms, observation.acknowledged_age_ms) == ("192.168.1.7", 301.5, 700)
    assert (bare.remote, bare.received_age_ms, bare.received_bytes) == ("fe80::1", None, None), "no details, no zero"


@given(st.text())
def test_no_text_breaks_the_readers(text: str) -> None:
    ss_text.read_sockets(text)
    ss_text.read_sockets(f"ESTAB 0 0 {text} {text}\n {text}")
    proc_text.read_net_tcp(f"heading\n{text}\n0: {text} 0:0 01 0:0 0 0 0 0 0 1", PORTS)
    unit_text.read_service(text)
    proc_text.runs(tuple(text.split()), ["lekiwi_host"])
    proc_text.option_in(text.split(), "--host.connection_time_s")


@given(st.integers(0, 800), st.binary(max_size=8))
def test_a_broken_answer_of_netlink_is_an_error_and_never_a_crash(at: int, junk: bytes) -> None:
    raw = bytes.fromhex((SAMPLES / "diag_5555.hex").read_text())
    broken = raw[:at] + junk + raw[at + len(junk) :]
    for data in (broken, raw[:at], junk + raw):
        with contextlib.suppress(DiagError):
            diag_bytes.read_answer(data, 7)


def test_a_refusal_of_netlink_is_an_error_with_its_number() -> None:
    refusal = struct.pack("=IHHIIi", 20, 2, 0, 7, 0, -2)

    with pytest.raises(DiagError) as told:
        diag_bytes.read_answer(refusal, 7)

    assert told.value.errno == 2


def test_the_rest_of_an_older_answer_is_not_taken_for_this_one() -> None:
    raw = bytes.fromhex((SAMPLES / "diag_5555.hex").read_text())

    assert diag_bytes.read_answer(raw, 8) == (Sockets(), False)


def test_an_older_kernel_that_knows_less_leaves_it_out() -> None:
    raw = bytes.fromhex((SAMPLES / "diag_5555.hex").read_text())
    (connection,) = diag_bytes.read_answer(raw, 7)[0].connections

    assert diag_bytes._number(b"\0" * 104, "=Q", 128) is None
    assert connection.received_bytes == 4702


@pytest.mark.parametrize(
    ("arguments", "is_host"),
    [
        (("python", "-m", "lerobot.robots.lekiwi.lekiwi_host", "--robot.id=a"), True),
        (("/usr/bin/python3.11", "-u", "-X", "dev", "/home/pi/lekiwi_host.py"), True),
        (("/home/pi/.local/bin/lekiwi-host",), True),
        (("python3", "/home/pi/.local/bin/lekiwi-host", "--x"), True),
        (("vim", "lekiwi_host.py"), False),
        (("grep", "lekiwi_host"), False),
        (("python", "-c", "import lekiwi_host"), False),
        (("bash", "-c", "python -m lekiwi_host"), False),
        ((), False),
    ],
)
def test_only_a_program_that_runs_is_the_host(arguments: tuple[str, ...], is_host: bool) -> None:
    assert proc_text.runs(arguments, ["lekiwi_host", "lekiwi-host"]) is is_host


def test_how_long_the_host_runs_is_what_its_command_line_says_last() -> None:
    option = "--host.connection_time_s"

    assert proc_text.option_in(["a", f"{option}=30", option, "600"], option) == 600
    assert proc_text.option_in(["a", f"{option}=soon", f"{option}=nan", f"{option}=-1", option], option) is None


def test_a_process_with_parentheses_in_its_name_is_read() -> None:
    state, ticks = proc_text.read_stat("17 (a) S (b) T " + " ".join(str(number) for number in range(1, 40)))

    assert (state, ticks) == ("T", 19)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Id=a.service\nLoadState=loaded\nActiveState=active\n", "active"),
        ("Id=a\nLoadState=not-found\nActiveState=inactive\n\nId=b\nLoadState=loaded\nActiveState=failed\n", "inactive"),
        ("LoadState=loaded\nActiveState=inactive\n\nLoadState=loaded\nActiveState=activating\n", "unknown"),
        ("LoadState=not-found\nActiveState=inactive\n", None),
        ("LoadState=loaded\nActiveState=inactive\n\nLoadState=loaded\nActiveState=active\n", "active"),
        ("", None),
    ],
)
def test_what_systemd_says_is_active_inactive_or_unknown(text: str, word: str | None) -> None:
    assert unit_text.read_service(text) == word


def test_ports_are_data_per_kind_and_site(tmp_path: Path) -> None:
    more = tmp_path / "layouts.toml"
    more.write_text('[lekiwi]\ncommand_ports = [6555]\n["lekiwi@lab-a"]\ncommand_ports = [7555]\n')

    assert layout_for("lekiwi", "lab-a").command_ports == {5555}
    assert layout_for("lekiwi", "lab-a", more).command_ports == {7555}
    assert layout_for("lekiwi", "lab-b", more).command_ports == {6555}
    assert layout_for("xle", "", more).other_ports == {5558}
    with pytest.raises(BadLayout, match="no layout for kind 'cart'"):
        layout_for("cart", "")


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"command_ports": [0]}, "x.command_ports: a list of ports"),
        ({"command_ports": [True]}, "x.command_ports"),
        ({"units": ["--user"]}, "x.units: a unit's name does not begin with a dash"),
        ({"comand_ports": []}, "x.comand_ports: no such field"),
        ({"command_timeout_ms": 0}, "x.command_timeout_ms: a number greater than 0"),
        ({"command_ports": [1], "observation_ports": [1]}, "x.observation_ports: a port is for"),
    ],
)
def test_a_layout_that_makes_no_sense_is_refused_by_its_field(said: dict[str, object], complaint: str) -> None:
    with pytest.raises(BadLayout, match=complaint):
        read_layout("x", said)
