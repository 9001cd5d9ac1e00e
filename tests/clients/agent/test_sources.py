"""Asking a real kernel and real processes, and what happens where one may not or cannot."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lekiwi_agent import bounded
from lekiwi_agent.kernel import AGAIN_AFTER_SECONDS, Kernel, Netlink, ProcNet, Ss
from lekiwi_agent.processes import WALK_SECONDS, Processes
from lekiwi_agent.units import Units

from tests.clients.agent.conftest import PACKAGE
from tests.clients.conftest import until

KEEPS_LISTENING = (
    "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)"
)


@dataclass
class Link:
    """A connection whose host's end has said and heard something, and rests."""

    port: int
    client: socket.socket
    host: socket.socket


@pytest.fixture
def link() -> Iterator[Link]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client, server.accept()[0] as host:
            client.sendall(b"c" * 321)
            host.recv(321, socket.MSG_WAITALL)
            host.sendall(b"f" * 4_000)
            client.recv(4_000, socket.MSG_WAITALL)
            yield Link(port, client, host)


def test_netlink_and_ss_agree_on_a_real_connection(link: Link) -> None:
    ports = frozenset({link.port})
    first, by_ss, last = Netlink().read(ports), Ss().read(ports), Netlink().read(ports)

    (before,), (between,), (after,) = first.connections, by_ss.connections, last.connections
    assert before.received_bytes == between.received_bytes == 321
    assert before.sent_bytes == between.sent_bytes == 4_000
    assert before.received_segments == between.received_segments
    assert before.key == between.key == (link.port, "127.0.0.1", link.client.getsockname()[1])
    assert between.rtt_ms == pytest.approx(before.rtt_ms, abs=0.001)
    assert before.received_age_ms - 20 <= between.received_age_ms <= after.received_age_ms + 20
    assert first.listeners == by_ss.listeners
    assert first.listeners[0].port == link.port


def test_what_the_host_has_not_read_is_counted_as_unread(link: Link) -> None:
    link.client.sendall(b"c" * 100)

    ports = frozenset({link.port})
    until(lambda: Netlink().read(ports).connections[0].unread_bytes == 100, "unread by netlink")
    assert Ss().read(ports).connections[0].unread_bytes == 100
    assert ProcNet().read(ports).connections[0].unread_bytes == 100


def test_ipv6_connections_are_seen() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as old, socket.create_connection(("::1", port)) as new:
            until(lambda: len(Netlink().read(frozenset({port})).connections) == 2, "both connections")
            found = Netlink().read(frozenset({port}))
            also = ProcNet().read(frozenset({port}))
            assert old
            assert new

    assert sorted(each.remote for each in found.connections) == ["127.0.0.1", "::1"]
    assert {each.key for each in also.connections} == {each.key for each in found.connections}


def test_without_netlink_and_ss_it_says_that_it_knows_no_times(link: Link) -> None:
    kernel = Kernel((Ss("/no/such/ss"), ProcNet()))

    found, unseen = kernel.read(frozenset({link.port}))

    assert found is not None
    assert found.connections[0].received_age_ms is None
    assert "/no/such/ss: No such file or directory" in unseen["commands"]


def test_where_no_way_works_nothing_is_claimed(tmp_path: Path) -> None:
    found, unseen = Kernel((Ss("/no/such/ss"), ProcNet(tmp_path))).read(frozenset({1}))

    assert found is None
    assert "No such file" in unseen["connections"]


def test_a_way_that_failed_is_tried_again(tmp_path: Path, link: Link) -> None:
    now = 0.0
    command = tmp_path / "ss"
    kernel = Kernel((Ss(str(command)), ProcNet()), now=lambda: now)
    assert kernel.read(frozenset({link.port}))[1]
    command.write_text('#!/bin/sh\nexec ss "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    assert kernel.read(frozenset({link.port}))[1], "not with every look"

    now = AGAIN_AFTER_SECONDS

    assert kernel.read(frozenset({link.port}))[1] == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_user_without_any_privilege_is_told_all_of_it_by_the_kernel(link: Link) -> None:
    code = f"from lekiwi_agent.kernel import Netlink; print(Netlink().read(frozenset({{{link.port}}})).connections[0])"

    told = subprocess.run(
        [
            *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--no-new-privs"),
            *(sys.executable, "-c", f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); {code}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    if "Permission denied" in told.stderr:
        pytest.skip("nobody may not read the working tree")
    assert "received_bytes=321" in told.stdout, told.stderr


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["sleep", "60"], "sleep: took longer than it may"),
        (["sh", "-c", "exec >&-; sleep 60"], "sh: does not end"),
        (["yes"], "yes: says more than 100000 bytes"),
        (["sh", "-c", "exit 3"], "sh: exits with 3"),
        (["/no/such/command"], "/no/such/command: No such file or directory"),
    ],
)
def test_an_external_command_is_bounded(command: list[str], complaint: str) -> None:
    with pytest.raises(bounded.CommandFailed, match=complaint):
        bounded.run(command, 0.2, most_bytes=100_000)


def test_the_host_is_found_by_its_name_and_its_end_is_seen(tmp_path: Path) -> None:
    program = tmp_path / "lekiwi_host.py"
    program.write_text("import sys; print('up', flush=True); sys.stdin.read()\n")
    processes = Processes(["lekiwi_host"])
    with subprocess.Popen(
        [sys.executable, str(program), "--host.connection_time_s=60"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = processes.host()
        assert found is not None
        assert (found.pid, found.arguments[-1], found.takes_part) == (process.pid, "--host.connection_time_s=60", True)

        process.send_signal(signal.SIGSTOP)
        until(lambda: (seen := processes.host()) and not seen.takes_part, "a stopped host takes no part")
        process.kill()
        process.wait()

        assert processes.host() is None


def test_the_host_is_found_by_the_port_that_it_listens_on() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", f"{KEEPS_LISTENING}; sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        inodes = frozenset(each.inode for each in Netlink().read(frozenset({port})).listeners)

        found = Processes(["no_such_program"]).host(inodes)

        process.kill()
    assert found is not None
    assert found.pid == process.pid


def test_proc_is_not_walked_with_every_look(tmp_path: Path) -> None:
    now = 0.0
    processes = Processes(["lekiwi_host"], root=tmp_path, now=lambda: now)
    assert processes.host() is None
    directory = tmp_path / "17"
    directory.mkdir()
    (directory / "stat").write_text("17 (python) S " + " ".join(["0"] * 18) + " 0")
    (directory / "cmdline").write_bytes(b"python\0lekiwi_host.py\0")
    assert processes.host() is None

    now = WALK_SECONDS

    assert processes.host() is not None


def test_where_proc_hides_others_a_host_that_is_not_found_may_still_run(tmp_path: Path) -> None:
    assert Processes(["lekiwi_host"], root=tmp_path).hidden() == "/proc hides the processes of others (hidepid)"
    assert Processes(["lekiwi_host"]).hidden() is None
    assert Processes([]).hidden() == "the layout names no program"


@pytest.mark.parametrize(
    ("script", "word", "because"),
    [
        ("echo LoadState=loaded; echo ActiveState=active", "active", ""),
        ("echo LoadState=not-found", "unknown", "there is no unit a.service or b.service"),
        ("echo LoadState=loaded; echo ActiveState=activating", "unknown", "the unit starts or stops"),
        ("echo 'System has not been booted with systemd' >&2; exit 1", "unknown", "exits with 1"),
    ],
)
def test_systemd_is_asked_about_the_units(tmp_path: Path, script: str, word: str, because: str) -> None:
    command = tmp_path / "systemctl"
    command.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n{script}\n')
    command.chmod(0o755)

    service = Units(["a.service", "b.service"], str(command)).ask()

    assert service.word == word
    assert because in service.because
    asked = "show --property=Id,LoadState,ActiveState -- a.service b.service\n"
    assert (tmp_path / "asked").read_text() == asked


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/net/tun").exists(), reason="needs root and TUN")
def test_the_round_trip_and_the_last_receive_are_right_on_a_slow_link() -> None:
    """30 ms each way, so no round trip is less than 60 ms, and data that arrived had travelled for 30 ms."""
    told = subprocess.run(
        ["unshare", "-n", sys.executable, str(Path(__file__).with_name("slow_link.py"))],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert told.returncode == 0, told.stderr
    seen = json.loads(told.stdout)
    assert seen["remote"] == "10.9.0.2"
    for way in seen["ways"].values():
        assert 60 <= way["rtt_ms"] < 160, way
        assert 0.02 <= way["travelled_s"] < 0.13, way
