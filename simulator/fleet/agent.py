"""The program on a robot: a heartbeat each interval, an update check now and then, and no complaint when they fail."""

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from simulator.fleet.door import Door
from simulator.fleet.faults import Faults
from simulator.fleet.life import Life
from simulator.fleet.robot import Robot
from simulator.fleet.telemetry import Telemetry
from simulator.fleet.updating import Update
from simulator.fleet.voice import Voice
from simulator.ledger import CHECK_UPDATE, DOWNLOAD, STATUS, Exchange, LedgerWriter, Said

SLOW_LINK_SECONDS = (0.2, 1.5)
#: how often a v2 robot tells of operation while somebody drives it, and looks for a change at most
SIGNAL_SECONDS, SHORTEST_LOOK_SECONDS = 0.25, 0.02


@dataclass(slots=True)
class Agent:
    """One robot that calls the door. `age` says how many seconds ago the fleet started."""

    robot: Robot
    door: Door
    ledger: LedgerWriter
    faults: Faults
    check_update_seconds: float
    age: Callable[[], float]
    saw: Callable[[str, Exchange], None]
    chance: random.Random
    absent: bool = False
    dismissed: bool = False
    in_flight: int = 0
    #: once it speaks v2; its other calls stay legacy's
    voice: Voice | None = None
    #: who has one shows it with every call, also when it speaks legacy again
    token: str | None = None
    #: held by whoever speaks for this robot
    mouth: asyncio.Lock = field(default_factory=asyncio.Lock)
    _life: Life = field(init=False)
    _update: Update = field(init=False)
    _next_check: float = field(init=False)
    _held: list[bytes] = field(default_factory=list)
    _overtaken: bytes | None = None
    _told: tuple[str, str] | None = None
    _skew: timedelta = field(init=False)
    _telemetry: Telemetry = field(init=False)

    def __post_init__(self) -> None:
        self._life = Life(self.robot, self.chance, self._tell)
        self._update = Update(self.chance, self.robot.firmware)
        self._skew = timedelta(seconds=self.robot.clock_skew_seconds)
        self._telemetry = Telemetry(self.robot, self._life, self.chance)
        self._next_check = time.monotonic() + self.chance.uniform(0, self.check_update_seconds)

    async def live(self) -> None:
        """Report until dismissed. A late answer delays the next report; missed ones are not made up for."""
        self._life.begin(time.monotonic())
        interval = self.robot.interval_seconds
        due = time.monotonic() + self.chance.uniform(0, interval)
        while not self.dismissed:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not self.absent:
                async with self.mouth:
                    await self.report()
            due = max(due + interval, time.monotonic())

    async def operate(self) -> None:
        """Once it speaks v2: tell of operation when something happens, and while somebody drives. Until cancelled."""
        while self.voice is not None:
            now = time.monotonic()
            self._life.advance(now)
            live = SIGNAL_SECONDS if self._life.is_driven else float("inf")
            said = self._telemetry.operation()
            if live < self.robot.interval_seconds:
                said["next_in_ms"] = live * 1000
            self.voice.signal(said)
            await asyncio.sleep(max(SHORTEST_LOOK_SECONDS, min(self._life.changes_at - now, live)))

    async def report(self) -> None:
        """One round: let time pass for the robot, send its heartbeat, then whatever else is due."""
        now = time.monotonic()
        self._life.advance(now)
        self._update.advance(now)
        self._tell_software()
        if self.voice is None:
            await self._send_heartbeats(self.heartbeat())
        else:
            self.voice.say(self._telemetry.fields(self._update, self._services(), self.robot.interval_seconds))
        if self.dismissed:
            return
        if now >= self._next_check:
            self._next_check = now + self.check_update_seconds * self.chance.uniform(0.9, 1.1)
            await self._check_for_update()
        elif (path := self._update.wants_package(now)) is not None:
            package = await self._get(DOWNLOAD, path)
            self._update.received(package.body if package.succeeded else None, time.monotonic())

    def heartbeat(self) -> bytes:
        """The request's bytes, with the body that a real robot sends and nothing more."""
        update = self._update
        health = {"services": self._services(), "timestamp": (datetime.now() + self._skew).isoformat()}
        content = {
            "robot_id": self.robot.robot_id,
            "deployment_id": update.deployment_id,
            "version": update.version,
            "status": update.status,
            "message": update.message,
            "health": health,
        }
        body = json.dumps(content).encode()
        head = (
            f"POST /api/robot/status HTTP/1.1\r\n{self.door.legacy_headers}Accept: */*\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{self._authorization()}\r\n"
        )
        return head.encode() + body

    def speak_v2(self, token: str | None, heard: Callable[[Said], None]) -> Voice:
        """From now on its heartbeats are v2's. The voice has to be kept alive by the caller."""
        self.token = token
        self.voice = Voice(
            self.robot.robot_id,
            self.door,
            self.ledger,
            self.chance,
            self.saw,
            heard,
            lambda: self.absent or self._held_back(),
            token,
            self.faults.duplicate_share,
            self._obey,
            self._skew,
        )
        return self.voice

    def _obey(self, command: str) -> str | None:
        if command != "stop_session":
            return f"a simulated robot does not know {command}"
        return None if self._life.stop_session() else "nobody drives"

    def _authorization(self) -> str:
        return f"Authorization: Bearer {self.token}\r\n" if self.token else ""

    def _services(self) -> dict[str, str]:
        if self._update.status == "deploying":
            return {"teleop": "unknown", "lekiwi": "inactive"}
        return {"teleop": "active" if self._life.host_runs else "inactive", "lekiwi": "active"}

    def _held_back(self) -> bool:
        return any(burst.holds_back(self.age()) for burst in self.faults.bursts)

    async def _send_heartbeats(self, request: bytes) -> None:
        if self._held_back():
            self._held.append(request)
            return
        if self._held:
            waiting, self._held = [*self._held, request], []
            await asyncio.gather(*(self._send(STATUS, one) for one in waiting))
            return
        if self.faults.reorder_share and self._overtaken is None and self.chance.random() < self.faults.reorder_share:
            self._overtaken = request
            return
        if self.faults.duplicate_share and self.chance.random() < self.faults.duplicate_share:
            await asyncio.gather(self._send(STATUS, request), self._send(STATUS, request))
        else:
            await self._send(STATUS, request)
        if self._overtaken is not None:
            late, self._overtaken = self._overtaken, None
            await self._send(STATUS, late)

    async def _check_for_update(self) -> None:
        update = self._update
        asked = {"robot_id": self.robot.robot_id, "current_version": update.version, "group": self.robot.asks_as}
        answer = await self._get(CHECK_UPDATE, f"/api/check-update?{urlencode(asked)}")
        if self.robot.follows_updates and answer.outcome == 200:
            update.accept(answer.body, time.monotonic())

    async def _get(self, call: str, path: str) -> Exchange:
        start = f"GET {path} HTTP/1.1\r\n{self.door.legacy_headers}Accept: */*\r\n"
        head = f"{start}{self._authorization()}\r\n"
        return await self._send(call, head.encode())

    async def _send(self, call: str, request: bytes) -> Exchange:
        self.in_flight += 1
        try:
            exchange = await self._exchange(request)
        finally:
            self.in_flight -= 1
        self.ledger.request(self.robot.robot_id, call, exchange)
        self.saw(call, exchange)
        return exchange

    async def _exchange(self, request: bytes) -> Exchange:
        patience = self.robot.timeout_seconds
        if not self.robot.slow_link:
            return await self.door.exchange(request, patience)
        half, pause = len(request) // 2, self.chance.uniform(*SLOW_LINK_SECONDS)
        return await self.door.exchange(request[:half], patience, request[half:], pause)

    def _tell(self, what: str, value: Any) -> None:
        self.ledger.truth(self.robot.robot_id, what, value)

    def _tell_software(self) -> None:
        software = (self._update.status, self._update.version)
        if software != self._told:
            self._told = software
            self._tell("software", {"status": software[0], "version": software[1]})
