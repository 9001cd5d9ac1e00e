"""The robots' client against the real ingest: what it was told is acknowledged is in PostgreSQL."""

import os
import urllib.request
from collections.abc import Iterator

import psycopg
import pytest
from lekiwi_heartbeat import Heartbeat
from lekiwi_heartbeat.limits import Limits

from heartbeat.rules.identity import key_of
from heartbeat.rules.tokens import digest_of
from tests.clients.conftest import until
from tests.databases import own_database
from tests.heartbeat.running import ingest

TOKEN = "lkr_only-for-tests"
ROBOT = "Lekiwi_5A3F"


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Ingest's address and its database, with one robot that has a token."""
    dsn = own_database(os.environ["DATABASE_URL"])
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO heartbeat_robottoken (robot_key, robot_id, digest, prefix, created_at, created_by)"
            " VALUES (%s, %s, %s, %s, now(), 'tests')",
            (key_of(ROBOT), ROBOT, digest_of(TOKEN.encode()), TOKEN[:8]),
        )
    with ingest(dsn, tmp_path_factory.mktemp("ingest")) as url:
        yield url, dsn


def stored(dsn: str, boot_id: str) -> list[int]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT sequence FROM heartbeat_history WHERE boot_id = %s ORDER BY sequence", (boot_id,)
        )
        return [row[0] for row in rows]


def test_by_socket_by_http_and_as_a_batch_everything_acknowledged_is_stored(new: tuple[str, str]) -> None:
    url, dsn = new
    heartbeat = Heartbeat(url, ROBOT, token=TOKEN, interval=0.01, limits=Limits(most_by_socket=8))
    for number in range(40):  # before it starts: a backlog
        heartbeat.beat(battery_percent=number)
        heartbeat._make_heartbeat(float(number))
    with heartbeat:
        assert heartbeat.flush(20)
        heartbeat.beat(status="idle")
        until(lambda: heartbeat.counts.get("acknowledged_socket", 0) >= 2, "the socket works")
        assert heartbeat.flush(20)

    counts = heartbeat.counts
    assert counts["acknowledged_http"] >= 30
    assert "acknowledged_legacy" not in counts
    assert stored(dsn, heartbeat.boot_id) == list(range(1, counts["made"] + 1))


def test_a_refused_token_is_noticed_by_http_and_not_tried_again_at_once(new: tuple[str, str]) -> None:
    url, dsn = new
    with Heartbeat(url, ROBOT, token="lkr_wrong", interval=0.01, read=dict) as heartbeat:
        until(lambda: heartbeat.counts.get("v2_failed"), "v2 refuses it")
        heartbeat.stop(0.1)

    assert heartbeat.counts["v2_failed"] == 1
    assert stored(dsn, heartbeat.boot_id) == []


def test_the_documented_curl_line_is_a_heartbeat(new: tuple[str, str]) -> None:
    url, dsn = new
    with urllib.request.urlopen(f"{url}/api/v2/ping/{TOKEN}?status=idle&next_in_s=60", timeout=10) as answer:
        assert answer.read().strip() == b"ok"
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT status, interval_seconds FROM heartbeat_robot").fetchone()
    assert row == ("idle", 60)
