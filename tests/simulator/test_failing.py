"""The stand-in that takes a system's place."""

import socket
import urllib.request

import pytest

from tests.simulator.running import listening, refusal

FAILING = "simulator.failing"


def test_it_answers_everything_with_the_status_and_counts_by_call() -> None:
    with listening(FAILING, "--status", "503") as stand_in:
        statuses = [
            stand_in.ask("POST", "/api/robot/status", {"robot_id": "r"})[0],
            stand_in.ask("GET", "/api/check-update?robot_id=r")[0],
            stand_in.ask("GET", "/api/check-update?robot_id=s")[0],
            stand_in.ask("GET", "/health")[0],
        ]
        _, count = stand_in.ask("GET", "/_sim/count")
        _, again = stand_in.ask("GET", "/_sim/count")

    assert statuses == [503] * 4
    assert count["by_call"] == {"POST /api/robot/status": 1, "GET /api/check-update": 2, "GET /health": 1}
    assert again["total"] == 4


def test_its_health_can_look_fine_while_the_rest_fails() -> None:
    with listening(FAILING, "--healthy") as stand_in:
        assert stand_in.ask("GET", "/health")[0] == 200
        assert stand_in.ask("GET", "/api/robots")[0] == 500


def test_it_fails_a_share_of_the_calls_evenly_and_another_one_when_told() -> None:
    with listening(FAILING, "--share", "0.25", "--healthy") as stand_in:
        before = [stand_in.ask("GET", "/api/robots")[0] for _ in range(8)]
        stand_in.ask("POST", "/_sim/share/0")
        after = [stand_in.ask("GET", "/api/robots")[0] for _ in range(4)]

    assert before == [200, 200, 200, 500] * 2
    assert after == [200] * 4


def test_a_hanging_one_takes_the_request_and_never_answers() -> None:
    with listening(FAILING, "--mode", "hang", "--healthy") as stand_in:
        with pytest.raises(TimeoutError):
            urllib.request.urlopen(stand_in.url + "/api/robots", timeout=0.3)

        assert stand_in.ask("GET", "/_sim/count")[1]["by_call"] == {"GET /api/robots": 1}


def test_a_slow_one_answers_after_its_time() -> None:
    with listening(FAILING, "--mode", "slow", "--slow-seconds", "0.6", "--status", "200") as stand_in:
        with pytest.raises(TimeoutError):
            urllib.request.urlopen(stand_in.url + "/api/robots", timeout=0.2)

        assert stand_in.ask("GET", "/api/robots")[0] == 200


def test_one_connection_carries_many_requests_chunked_ones_and_handshakes_too() -> None:
    with listening(FAILING, "--status", "500") as stand_in:
        host, port = stand_in.url.removeprefix("http://").split(":")
        plain = b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
        chunked = b"POST /b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        handshake = b"GET /ws/robot/ HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            for request in (plain, chunked, handshake, plain):
                connection.sendall(request)
                assert connection.recv(4096).startswith(b"HTTP/1.1 500 ")

        assert stand_in.ask("GET", "/_sim/count")[1]["by_call"] == {"POST /a": 2, "POST /b": 1, "GET /ws/robot/": 1}


@pytest.mark.parametrize("flags", [["--port", "0", "--status", "99"], ["--port", "0", "--mode", "maybe"], []])
def test_a_wrong_argument_is_refused(flags: list[str]) -> None:
    assert refusal(FAILING, *flags).startswith("usage:")
