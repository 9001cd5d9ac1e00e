"""Signals go in through a real ingest, sessions come out of the real watcher."""

import json
import os
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from websockets.sync.client import ClientConnection, connect

from heartbeat.rules.identity import key_of
from heartbeat.watching.lease import RENEW_SECONDS, STANDBY_SECONDS, TTL_SECONDS, Lease, LeaseLost
from heartbeat.watching.serving import TICK_SECONDS
from heartbeat.watching.store import connect as database
from teleop.following.running import NAME, Running
from teleop.following.store import Store
from teleop.following.watcher import Watcher
from tests.databases import own_database
from tests.heartbeat.conftest import ENROLLED, TOKEN, issue_token
from tests.heartbeat.running import eventually, ingest

PATIENCE = 10


@dataclass
class World:
    database: str
    base_url: str
    began: float = field(default_factory=time.monotonic)
    running: Running | None = None
    thread: threading.Thread | None = None

    def watch(self) -> None:
        self.running = Running(self.database)
        self.thread = threading.Thread(target=self.running.run)
        self.thread.start()

    def stop_watching(self) -> None:
        if self.running and self.thread:
            self.running.stop.set()
            self.thread.join(PATIENCE)

    def rows(self, sql: str, *arguments: Any) -> list[Any]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(sql, arguments).fetchall()

    def document(self, **fields: Any) -> dict[str, Any]:
        """Signals by the robot's clock, which counts from the test's start."""
        measured = (time.monotonic() - self.began) * 1000
        return {"measured_ms": measured, "next_in_ms": 60_000, "host_up": True, "service": "active", **fields}

    def post(self, **body: Any) -> int:
        request = urllib.request.Request(
            f"{self.base_url}/api/v2/teleop/signals",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            self.problem = json.loads(error.read())
            return error.code

    def socket(self) -> ClientConnection:
        address = self.base_url.replace("http://", "ws://") + "/ws/robot/"
        return connect(address, additional_headers={"Authorization": f"Bearer {TOKEN}"}, open_timeout=PATIENCE)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    database = own_database(os.environ["DATABASE_URL"])
    issue_token(database)
    with ingest(database, tmp_path_factory.mktemp("ingest")) as base_url:
        made = World(database, base_url)
        made.watch()
        try:
            yield made
        finally:
            made.stop_watching()


def test_signals_of_every_way_become_one_session_that_survives_its_watcher(world: World) -> None:
    with world.socket() as robot:
        state = world.document(command_rate_hz=0, watchdog_active=True)
        robot.send(json.dumps({"type": "signals", "boot_id": "b", "id": "s1", "signals": [state]}))
        told = {"type": ""}
        while told["type"] != "signals_ack":
            told = json.loads(robot.recv(timeout=PATIENCE))
        assert told["id"] == "s1"
        driving = {"command_age_ms": 15, "command_rate_hz": 30, "commanded_for_ms": 400, "driver": "human"}
        assert world.post(boot_id="b", signals=[world.document(**driving)]) == 202
        eventually(lambda: world.rows("SELECT state FROM teleop_robotoperation") == [("active",)])

        # a heartbeat says the same, and another watcher goes on with the same session
        peers = [{"id": "p", "rtt_ms": 140, "fps": 9, "loss_percent": 7}]
        more = {**driving, "commanded_for_ms": 900, "peers": peers, "operators": [{"id": "ada", "command_age_ms": 15}]}
        beat = {"robot_id": ENROLLED, "boot_id": "b", "sequence": 1, "teleop": world.document(**more)}
        robot.send(json.dumps({**beat, "services": {"teleop": "active"}}))
        world.stop_watching()
        world.watch()
        operators = "SELECT operators, driver, latency_ms, fps FROM teleop_robotoperation"
        eventually(lambda: world.rows(operators) == [(["ada"], "human", 140.0, 9.0)])
        assert world.rows("SELECT count(*) FROM teleop_session") == [(1,)]

        _is_asked_to_stop_and_answers(world, robot)

        gone = {"command_rate_hz": 0, "command_age_ms": 900, "observers": 0, "flows": []}
        assert world.post(boot_id="b", signals=[world.document(**gone)]) == 202
    eventually(
        lambda: world.rows("SELECT state, ending, driver FROM teleop_session") == [("ended", "stopped", "human")]
    )
    assert world.rows("SELECT operator FROM teleop_participation WHERE until_at IS NOT NULL") == [("ada",)]
    steps = [
        row[0] for row in world.rows("SELECT step FROM teleop_sessionevent WHERE session_id IS NOT NULL ORDER BY id")
    ]
    assert (steps[0], steps[-1]) == ("began", "ended")
    assert all(evidence for (evidence,) in world.rows("SELECT evidence FROM teleop_sessionevent WHERE step = 'began'"))
    lag = world.rows("SELECT extract(epoch FROM began_known_at - began_at) FROM teleop_session")[0][0]
    assert float(lag) > 0.35


def test_a_standby_takes_over_from_a_holder_that_is_silent_and_that_one_writes_nothing_more(world: World) -> None:
    world.stop_watching()
    with database(world.database) as connection:
        silent = Lease(connection, NAME)
        assert silent.take()
        dead = Watcher(Store(connection), silent.fence)
        dead.tick(time.time())
        world.watch()
        driving = {"command_age_ms": 15, "command_rate_hz": 30, "commanded_for_ms": 200, "driver": "policy"}
        assert world.post(boot_id="taken over", signals=[world.document(**driving)]) == 202

        # The holder says nothing any more: its lease runs out, and only then does anybody else conclude anything.
        eventually(lambda: world.rows("SELECT state, driver FROM teleop_robotoperation") == [("active", "policy")])

        assert world.rows("SELECT term FROM heartbeat_lease WHERE name = %s", NAME) == [(silent.term + 1,)]
        with pytest.raises(LeaseLost):
            dead.tick(time.time())
        assert world.rows("SELECT count(*) FROM teleop_session WHERE driver = 'policy'") == [(1,)]


def test_a_silent_holder_is_relieved_within_two_seconds() -> None:
    looked_for = STANDBY_SECONDS + TICK_SECONDS

    assert TTL_SECONDS + looked_for < 2
    assert RENEW_SECONDS < TTL_SECONDS / 2


def _is_asked_to_stop_and_answers(world: World, robot: ClientConnection) -> None:
    number = uuid.uuid4()
    with psycopg.connect(world.database) as connection:
        connection.execute(
            "INSERT INTO teleop_stoprequest (id, robot_key, robot_id, session_id, state, reason, asked_by, asked_at,"
            " expires_at, detail) SELECT %s, robot_key, robot_id, session_id, 'asked', 'a child', 'ada', now(),"
            " now() + interval '20 seconds', '' FROM teleop_robotoperation",
            [number],
        )
    told: dict[str, Any] = {"type": ""}
    while told["type"] != "command":
        told = json.loads(robot.recv(timeout=PATIENCE))
    assert (told["id"], told["name"]) == (str(number), "stop_session")
    assert told["arguments"]["reason"] == "a child"
    robot.send(json.dumps({"type": "command_result", "id": told["id"], "ok": True, "detail": "the host is stopped"}))
    state = "SELECT state, detail FROM teleop_stoprequest"
    eventually(lambda: world.rows(state) == [("acknowledged", "the host is stopped")])


def test_a_request_that_nobody_answers_is_timed_out(world: World) -> None:
    with psycopg.connect(world.database) as connection:
        connection.execute(
            "INSERT INTO teleop_stoprequest (id, robot_key, robot_id, state, reason, asked_by, asked_at, expires_at,"
            " detail) VALUES (%s, %s, 'Lekiwi_nobody', 'asked', 'why', 'ada', now(), now() + interval '0.3 seconds',"
            " '')",
            [uuid.uuid4(), key_of("Lekiwi_nobody")],
        )

    state = "SELECT state FROM teleop_stoprequest WHERE robot_id = 'Lekiwi_nobody'"
    eventually(lambda: world.rows(state) == [("timed_out",)])


def test_wrong_signals_are_refused_by_field_and_reason(world: World, tmp_path: Path) -> None:
    assert world.post(signals=[{"command_age_ms": -1}]) == 422
    assert world.problem["errors"][0]["field"] == "signals[0].command_age_ms"
    assert world.post(signals=[]) == 422
    assert world.post(robot_id="another", signals=[{"host_up": True}]) == 403
