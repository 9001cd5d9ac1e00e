"""`WS /ws/robot/` and the short way of the HTTP protocol, on a real ingest."""

import http.client
import json
import os
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.databases import own_database
from tests.heartbeat.conftest import ENROLLED, TOKEN, issue_token
from tests.heartbeat.running import eventually, ingest

PATIENCE = 10
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def database() -> str:
    url = own_database(os.environ["DATABASE_URL"])
    issue_token(url)
    return url


@pytest.fixture(scope="module")
def base_url(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ingest(database, tmp_path_factory.mktemp("ingest")) as url:
        yield url


def numbered(sequence: int, boot_id: str, **fields: Any) -> dict[str, Any]:
    return {"robot_id": ENROLLED, "boot_id": boot_id, "sequence": sequence, **fields}


def opened(base_url: str, headers: dict[str, str] | None = None) -> ClientConnection:
    address = base_url.replace("http://", "ws://") + "/ws/robot/"
    return connect(address, additional_headers=BEARER if headers is None else headers, open_timeout=PATIENCE)


def told(connection: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of this kind."""
    while True:
        message: dict[str, Any] = json.loads(connection.recv(timeout=PATIENCE))
        if message["type"] == kind:
            return message


def stored(database: str, boot_id: str) -> list[int]:
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT sequence FROM heartbeat_history WHERE boot_id = %s ORDER BY sequence", (boot_id,)
        )
        return [row[0] for row in rows]


class TestASocket:
    def test_heartbeats_go_up_and_acknowledgements_after_their_commit_come_down(
        self, base_url: str, database: str
    ) -> None:
        with opened(base_url) as robot:
            assert told(robot, "hello")["robot_id"] == ENROLLED
            for sequence in range(50):
                robot.send(json.dumps(numbered(sequence, "ws-1")))
            acknowledged: list[int] = []
            while len(acknowledged) < 50:
                message = told(robot, "ack")
                assert message["boot_id"] == "ws-1"
                acknowledged += message["sequences"]

        assert sorted(acknowledged) == list(range(50)) == stored(database, "ws-1")

    def test_a_frame_that_comes_again_is_acknowledged_and_stored_once(self, base_url: str, database: str) -> None:
        with opened(base_url) as robot:
            for _ in range(2):
                robot.send(json.dumps(numbered(1, "ws-2")))
                assert told(robot, "ack")["sequences"] == [1]

        assert stored(database, "ws-2") == [1]

    def test_what_is_wrong_is_refused_by_its_number_and_the_socket_stays(self, base_url: str) -> None:
        with opened(base_url) as robot:
            robot.send(json.dumps(numbered(7, "ws-3", battery_percent=300)))
            refused = told(robot, "refused")
            robot.send(json.dumps({"robot_id": ENROLLED}))
            unnumbered = told(robot, "refused")
            robot.send(json.dumps({**numbered(8, "ws-3"), "robot_id": "another"}))
            others = told(robot, "refused")
            robot.send("{")
            unreadable = told(robot, "refused")
            robot.send(json.dumps(numbered(9, "ws-3")))

            assert told(robot, "ack")["sequences"] == [9]
        assert (refused["sequence"], refused["errors"][0]["field"]) == (7, "battery_percent")
        assert unnumbered["errors"][0]["field"] == "sequence"
        assert (others["status"], others["errors"][0]["field"]) == (403, "robot_id")
        assert unreadable["sequence"] is None

    def test_the_end_of_an_old_connection_changes_nothing_for_a_newer_one(self, base_url: str) -> None:
        """open-balena-vpn 313."""
        old = opened(base_url)
        with opened(base_url) as new:
            old.close()
            new.send(json.dumps(numbered(1, "ws-4")))

            assert told(new, "ack")["sequences"] == [1]

    def test_nobody_gets_in_without_a_token(self, base_url: str) -> None:
        for headers in ({}, {"Authorization": "Bearer lkr_of-nobody"}):
            with pytest.raises(InvalidStatus) as refused:
                opened(base_url, headers)
            assert refused.value.response.status_code == 401

    def test_a_revoked_token_ends_the_socket(self, base_url: str, database: str) -> None:
        issue_token(database, "Lekiwi_Revoked", "lkr_to-be-revoked")
        with opened_when_known(base_url, {"Authorization": "Bearer lkr_to-be-revoked"}) as robot:
            told(robot, "hello")
            with psycopg.connect(database) as connection:
                connection.execute("UPDATE heartbeat_robottoken SET revoked_at = now() WHERE prefix = 'lkr_to-b'")

            with pytest.raises(ConnectionClosed) as closed:
                robot.recv(timeout=PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401


def opened_when_known(base_url: str, headers: dict[str, str]) -> ClientConnection:
    """Ingest is told of a new token by the database; the handshake is tried until it was."""
    made: list[ClientConnection] = []

    def tried() -> bool:
        try:
            made.append(opened(base_url, headers))
        except InvalidStatus:
            return False
        return True

    eventually(tried)
    return made[0]


class TestTheShortWay:
    """A heartbeat in one piece takes it, any other way of sending the same bytes is answered alike."""

    BODY = json.dumps({"robot_id": ENROLLED, "status": "idle"}).encode()

    def request(self, body: bytes = BODY, **headers: str) -> bytes:
        lines = ["POST /api/v2/heartbeat HTTP/1.1", "Host: new", f"Content-Length: {len(body)}"]
        given = {"Content-Type": "application/json", "X-Request-Id": "trace-1", **BEARER, **headers}
        lines += [f"{name}: {value}" for name, value in given.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def exchange(self, base_url: str, *pieces: bytes, answers: int = 1) -> list[tuple[int, str | None, Any]]:
        """Send pieces one after the other, read so many answers from the same connection."""
        where = urlsplit(base_url)
        with socket.create_connection((where.hostname, where.port), timeout=PATIENCE) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            got = []
            reader = connection.makefile("rb")
            for piece in pieces:
                connection.sendall(piece)
            for _ in range(answers):
                got.append(read_answer(reader))
            return got

    def test_pieces_pipelines_and_whole_requests_are_answered_alike(self, base_url: str) -> None:
        whole = self.request()
        cut = len(whole) - 5

        ((once),) = self.exchange(base_url, whole)
        ((in_pieces),) = self.exchange(base_url, whole[:40], whole[40:cut], whole[cut:])
        pipelined = self.exchange(base_url, whole + whole + whole, answers=3)
        one_by_one = [self.exchange(base_url, whole)[0] for _ in range(2)]

        statuses = {status for status, _, _ in (once, in_pieces, *pipelined, *one_by_one)}
        identities = {identity for _, identity, _ in (once, in_pieces, *pipelined, *one_by_one)}
        assert (statuses, identities) == ({200}, {"trace-1"})
        assert in_pieces[2].keys() == once[2].keys() == {"status", "robot_id", "request_id", "received_at"}

    def test_a_connection_serves_many_heartbeats_and_other_calls_between(self, base_url: str) -> None:
        where = urlsplit(base_url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=PATIENCE)
        statuses = []
        for path, method in (("/api/v2/heartbeat", "POST"), ("/health", "GET"), ("/api/v2/heartbeat", "POST")):
            connection.request(method, path, body=self.BODY if method == "POST" else None, headers=BEARER)
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        connection.close()

        assert statuses == [200, 200, 200]

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"Authorization": "Bearer lkr_of-nobody"}, 401),
            ({"Expect": "100-continue"}, 200),
            ({"X-Odd Name": "1"}, 400),
        ],
    )
    def test_what_is_unusual_takes_the_long_way(self, base_url: str, change: dict[str, str], status: int) -> None:
        ((answered, _, _),) = self.exchange(base_url, self.request(**change))

        assert answered == status


def read_answer(reader: Any) -> tuple[int, str | None, Any]:
    """Status, x-request-id and body of the next final answer."""
    status = 100
    while status < 200:
        status = int(reader.readline().split()[1])
        headers = http.client.parse_headers(reader)
    body = reader.read(int(headers["content-length"]))
    return status, headers.get("x-request-id"), json.loads(body) if body[:1] == b"{" else body
