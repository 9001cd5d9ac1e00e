"""The same in real time through the real path, for `benchmarks.teleop`: what a viewer sees, and when.

Robots speak on the robots' socket to a real ingest (signals, and every eighth time a heartbeat), it stores in
PostgreSQL, two watchers of operation conclude, the live process shows it on `/ws/teleop/`. Networks between the robots
and ingest are the seed's, as in virtual time: what they take is part of the time until it is known.
"""

import asyncio
import contextlib
import json
import secrets
import subprocess
import sys
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import psycopg
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_robot
from websockets.sync.client import connect as connect_viewer

from benchmarks.fanout_world import START_SECONDS, prepare, server, services
from benchmarks.reporting import quantile
from benchmarks.teleop_world import Arrival, arrivals, scripts
from embedded.layout import ROOT
from embedded.ports import free_port
from embedded.programs import ingest_arguments
from simulator.operating.script import Script

HEARTBEAT_EVERY = 8
#: until everybody is connected, and after the last script ended
SETTLE_SECONDS, REST_SECONDS = 3.0, 13.0
#: a robot opens its socket when nobody else does: handshakes at once
HANDSHAKES = 16


@dataclass(slots=True)
class Seen:
    """What the viewer was told of each robot: (when, state); None for one that is in no session."""

    states: dict[str, list[tuple[float, str | None]]] = field(default_factory=dict)
    frames: int = 0

    def take(self, frame: dict[str, Any], now: float) -> None:
        """A frame of `operating`."""
        self.frames += 1
        sessions = frame.get("data", {}).get("sessions")
        if sessions is None:
            return
        for robot in self.states.keys() | sessions.keys():
            self.states.setdefault(robot, []).append((now, sessions[robot][0] if robot in sessions else None))

    def active_at(self, robot: str, begin: float, end: float) -> list[tuple[float, bool]]:
        """Whether it was said to be driven, from what stood at `begin` on until `end`."""
        series = self.states.get(robot, [])
        first = max(0, bisect_right(series, begin, key=lambda each: each[0]) - 1)
        return [(at, state == "active") for at, state in series[first : bisect_left(series, end, key=lambda e: e[0])]]


def measure(seed: int, robots: int, sessions: int, seconds: float) -> dict[str, Any]:
    """Run it; the figures of the report, all with `path_` before them."""
    written = scripts(seed, robots, sessions, seconds)
    names = [f"Lekiwi_{number:08X}" for number in range(robots)]
    with services() as environment:
        cookie = prepare(0, environment)
        tokens = _enrol(environment["DATABASE_URL"], names)
        with _running(environment) as port, server(environment, "config.live:application") as (live, _):
            seen, over = Seen(), threading.Event()
            viewer = threading.Thread(target=_watch, args=(live, cookie, seen, over))
            viewer.start()
            try:
                told = [arrivals(seed, number, script, seconds) for number, script in enumerate(written)]
                began, late = asyncio.run(_play(port, names, tokens, told, seconds))
            finally:
                over.set()
                viewer.join()
        with psycopg.connect(environment["DATABASE_URL"]) as connection:
            rows = connection.execute(
                "SELECT robot_id, extract(epoch FROM began_at)::float8, extract(epoch FROM ended_at)::float8"
                " FROM teleop_session ORDER BY began_at"
            ).fetchall()
    return _figures(written, names, seen, rows, began) | {
        "path_robots": robots,
        "path_sent_late_p99_s": _rounded(quantile(late, 0.99)),
        "path_frames": seen.frames,
    }


def _figures(
    written: list[Script], names: list[str], seen: Seen, rows: list[tuple[str, float, float | None]], began: float
) -> dict[str, Any]:
    known: list[float] = []
    edges: list[float] = []
    missed = total = invented = never = 0
    for name, script in zip(names, written, strict=True):
        found = [(begin - began, (end or time.time()) - began) for robot, begin, end in rows if robot == name]
        for number, true in enumerate(script.sessions):
            total += 1
            after = script.sessions[number + 1].begin if number + 1 < len(script.sessions) else 1e9
            mine = next((each for each in found if each[0] < true.end and each[1] > true.begin), None)
            told = seen.active_at(name, began + true.begin, began + after)
            begin_at = next((at for at, active in told if active), None)
            if mine is None or begin_at is None:
                missed += 1
                continue
            found.remove(mine)
            edges += [abs(mine[0] - true.begin), abs(mine[1] - true.end)]
            last_active = max(place for place, (_, active) in enumerate(told) if active)
            known.append(max(0.0, begin_at - began - true.begin))
            if last_active + 1 < len(told):
                known.append(max(0.0, told[last_active + 1][0] - began - true.end))
            else:
                never += 1
        invented += len(found)
    return {
        "path_sessions": total,
        "path_missed": missed,
        "path_invented": invented,
        "path_never_said_to_end": never,
        "path_edge_p99_s": _rounded(quantile(edges, 0.99)),
        "path_known_p50_s": _rounded(quantile(known, 0.5)),
        "path_known_p99_s": _rounded(quantile(known, 0.99)),
    }


async def _play(
    port: int, names: list[str], tokens: list[str], told: list[list[Arrival]], seconds: float
) -> tuple[float, list[float]]:
    """Let all robots speak by plan. Returns when it began (epoch seconds), and how late each report left."""
    gate = asyncio.Semaphore(HANDSHAKES)

    async def opened(token: str) -> ClientConnection:
        async with gate:
            headers = {"Authorization": f"Bearer {token}"}
            return await connect_robot(f"ws://127.0.0.1:{port}/ws/robot/", additional_headers=headers, compression=None)

    sockets = await asyncio.gather(*(opened(token) for token in tokens))
    listeners = [asyncio.create_task(_listen(one)) for one in sockets]
    began, started = time.time() + SETTLE_SECONDS, time.monotonic() + SETTLE_SECONDS
    late: list[float] = []

    async def speak(number: int) -> None:
        for place, arrival in enumerate(told[number]):
            await asyncio.sleep(max(0.0, started + arrival.received - time.monotonic()))
            late.append(time.monotonic() - started - arrival.received)
            await sockets[number].send(_frame(names[number], place + 1, arrival))

    await asyncio.gather(*(speak(number) for number in range(len(names))))
    await asyncio.sleep(max(0.0, started + seconds + REST_SECONDS - time.monotonic()))
    for listener in listeners:
        listener.cancel()
    await asyncio.gather(*(one.close() for one in sockets), *listeners, return_exceptions=True)
    return began, late


def _frame(name: str, number: int, arrival: Arrival) -> str:
    if number % HEARTBEAT_EVERY:
        return json.dumps({"type": "signals", "boot_id": arrival.run, "signals": [arrival.document]})
    identity = {"robot_id": name, "boot_id": arrival.run, "sequence": number}
    return json.dumps({**identity, "teleop": arrival.document, "next_in_s": 10})


async def _listen(socket: ClientConnection) -> None:
    async for _ in socket:
        pass


def _watch(port: int, cookie: str, seen: Seen, over: threading.Event) -> None:
    headers = {"Cookie": cookie}
    origin = f"http://127.0.0.1:{port}"
    url = f"ws://127.0.0.1:{port}/ws/teleop/"
    with connect_viewer(url, additional_headers=headers, origin=origin, max_size=None) as socket:  # type: ignore[arg-type]
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                frame = json.loads(socket.recv(timeout=0.5))
                seen.take(frame, time.time())


def _enrol(database_url: str, names: list[str]) -> list[str]:
    tokens = [f"lkr_{secrets.token_urlsafe(32)}" for _ in names]
    columns = "(robot_key, robot_id, digest, prefix, created_at, created_by)"
    statement = f"COPY heartbeat_robottoken {columns} FROM STDIN"
    with psycopg.connect(database_url) as connection, connection.cursor().copy(statement) as copy:
        for name, token in zip(names, tokens, strict=True):
            digest = sha256(token.encode()).digest()
            copy.write_row((name.lower().encode(), name, digest, token[:8], "2026-01-01T00:00:00Z", "benchmark"))
    return tokens


@contextlib.contextmanager
def _running(environment: dict[str, str]) -> Iterator[int]:
    """Ingest and two watchers of operation, until one of them holds the lease; yields ingest's port."""
    port = free_port()
    commands = [
        [sys.executable, *ingest_arguments(str(port)), "--log-level", "warning"],
        *[[sys.executable, "-W", "ignore", "manage.py", "teleop_watcher"]] * 2,
    ]
    quiet = {**environment, "LOG_LEVEL": "WARNING"}
    started = [subprocess.Popen(command, cwd=ROOT, env=quiet) for command in commands]
    try:
        deadline = time.monotonic() + START_SECONDS
        with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
            ready = (
                "SELECT (SELECT count(*) FROM heartbeat_lease WHERE name = 'teleop_watcher')"
                " * (SELECT count(*) FROM heartbeat_hearing WHERE name = 'ingest')"
            )
            while not (row := connection.execute(ready).fetchone()) or not row[0]:
                if time.monotonic() > deadline or any(each.poll() is not None for each in started):
                    raise RuntimeError("ingest or the watcher of operation did not start")
                time.sleep(0.1)
        yield port
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=20)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
