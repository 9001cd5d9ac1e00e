"""The fleet as a whole: waits for the door, runs the agents, lets robots vanish, says how it goes, ends cleanly."""

import asyncio
import gc
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from simulator.fleet.agent import Agent
from simulator.fleet.door import Door
from simulator.fleet.faults import Faults, Vanishing
from simulator.fleet.robot import Robot
from simulator.fleet.tokens import Tokens
from simulator.ledger import ACKNOWLEDGED, STATUS, STOPPED, Exchange, LedgerWriter, Said

SAY_SECONDS = 5.0
LAST_ANSWERS_SECONDS = 2.0


@dataclass(slots=True)
class Fleet:
    """N agents at one door, with one ledger."""

    robots: list[Robot]
    door: Door
    ledger: LedgerWriter
    faults: Faults
    check_update_seconds: float
    seed: int
    #: how many robots speak v2, and their tokens
    v2_robots: int = 0
    tokens: Tokens | None = None
    agents: list[Agent] = field(default_factory=list)
    totals: Counter[str] = field(default_factory=Counter)
    _started: float = 0.0
    _window: list[float] = field(default_factory=list)
    _said: Counter[str] = field(default_factory=Counter)
    _said_at: float = 0.0

    async def run(self, stop: asyncio.Event) -> dict[str, Any]:
        """Run until `stop` is set and return the figures of the closing line. An agent's own error is raised."""
        self.agents = [self._agent(number, robot) for number, robot in enumerate(self.robots)]
        for robot in self.robots:
            self.ledger.truth(robot.robot_id, "robot", robot.description())
        stopped = asyncio.create_task(stop.wait())
        services = [asyncio.create_task(self.ledger.flush_regularly())]
        lives: list[asyncio.Task[None]] = []
        voices: list[asyncio.Task[None]] = []
        try:
            if await self._door_answers(stopped):
                self._started = self._said_at = time.monotonic()
                # The robots stay for the whole run: the collector need not look at them again.
                gc.freeze()
                lives = [asyncio.create_task(agent.live()) for agent in self.agents]
                services += [asyncio.create_task(self._vanish(one)) for one in self.faults.vanishings]
                voices = [asyncio.create_task(self._speak_v2(agent)) for agent in self._v2_agents()]
                for task in voices:
                    task.add_done_callback(lambda done: self._failed(done) and stop.set())
                services.append(asyncio.create_task(self._say()))
                await asyncio.wait([stopped, *lives], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end(lives)
            for task in (*services, *voices, stopped):
                task.cancel()
        await asyncio.gather(*voices, return_exceptions=True)
        for task in (*lives, *voices):
            if self._failed(task):
                raise RuntimeError("a robot's program failed") from task.exception()
        return self.figures()

    def figures(self) -> dict[str, Any]:
        """What was sent and what came of it, over the whole run."""
        seconds = time.monotonic() - self._started if self._started else 0.0
        requests = self.totals["sent"]
        return {
            "robots": len(self.robots),
            "seconds": round(seconds, 2),
            "requests": requests,
            "requests_per_second": round(requests / seconds, 1) if seconds else 0.0,
            "heartbeats": self.totals[STATUS],
            "v2_heartbeats": self.totals["v2"],
            "v2_acknowledged": self.totals["v2 acknowledged"],
            "failures": self.totals["failed"],
            "stale_connections": self.door.stale_connections,
        }

    def _agent(self, number: int, robot: Robot) -> Agent:
        # A generator per robot: what one of them does never changes what another one draws.
        chance = random.Random(f"{self.seed}/{number}")
        agent = Agent(
            robot, self.door, self.ledger, self.faults, self.check_update_seconds, self._age, self._saw, chance
        )
        agent.token = self.tokens.known(robot.robot_id) if self.tokens else None
        return agent

    def _age(self) -> float:
        return time.monotonic() - self._started

    def _saw(self, call: str, exchange: Exchange) -> None:
        self.totals["sent"] += 1
        self.totals[call] += 1
        if exchange.succeeded:
            self.totals[f"by {exchange.answered_by or 'unnamed'}"] += 1
            self._window.append(exchange.latency_ms)
        elif exchange.outcome != STOPPED:
            self.totals["failed"] += 1

    def _v2_agents(self) -> list[Agent]:
        return random.Random(f"{self.seed}/v2").sample(self.agents, min(self.v2_robots, len(self.agents)))

    async def _speak_v2(self, agent: Agent) -> None:
        """Let this robot speak v2 as soon as it has its token; until then it speaks as it always did."""
        try:
            token = await self.tokens.of(agent.robot, agent.chance, agent.mouth) if self.tokens else None
        except PermissionError as error:
            print(f"fleet: {error}; it goes on with the legacy call", flush=True)
            return
        voice = agent.speak_v2(token, self._heard)
        self.ledger.truth(agent.robot.robot_id, "protocol", "v2")
        async with asyncio.TaskGroup() as both:
            both.create_task(voice.live())
            both.create_task(agent.operate())

    def _failed(self, task: "asyncio.Task[None]") -> bool:
        return not task.cancelled() and task.exception() is not None

    def _heard(self, said: Said) -> None:
        self.totals["v2"] += 1
        if said.outcome == ACKNOWLEDGED:
            self.totals["v2 acknowledged"] += 1
            self.totals[f"by v2/{said.way}"] += 1

    async def _door_answers(self, stopped: asyncio.Task[bool]) -> bool:
        """Knock until something answers at all, whatever it says; nothing before that is a failure."""
        agent, waiting = self.agents[0], False
        while not stopped.done():
            exchange = await self.door.exchange(agent.heartbeat(), agent.robot.timeout_seconds)
            if isinstance(exchange.outcome, int):
                self.ledger.request(agent.robot.robot_id, STATUS, exchange)
                self._saw(STATUS, exchange)
                return True
            if not waiting:
                print(f"fleet: waiting for {self.door.host_header} ({exchange.outcome})", flush=True)
                waiting = True
            await asyncio.wait([stopped], timeout=0.25)
        return False

    async def _vanish(self, vanishing: Vanishing) -> None:
        await asyncio.sleep(vanishing.at_seconds)
        present = [agent for agent in self.agents if not agent.absent]
        chance = random.Random(f"{self.seed}/{vanishing}")
        gone = chance.sample(present, min(vanishing.robots, len(present)))
        self._set_absent(gone, "vanished")
        if vanishing.for_seconds is not None:
            await asyncio.sleep(vanishing.for_seconds)
            self._set_absent(gone, "returned")

    def _set_absent(self, agents: list[Agent], what: str) -> None:
        for agent in agents:
            agent.absent = what == "vanished"
            self.ledger.truth(agent.robot.robot_id, what, True)

    async def _say(self) -> None:
        while True:
            await asyncio.sleep(SAY_SECONDS)
            print(self.status_line(), flush=True)

    def status_line(self) -> str:
        """How the seconds since the last such line went."""
        now = time.monotonic()
        seconds, self._said_at = now - self._said_at, now
        news, self._said = self.totals - self._said, Counter(self.totals)
        latencies, self._window = sorted(self._window), []
        by = " ".join(f"{name[3:]} {count}" for name, count in sorted(news.items()) if name.startswith("by "))
        p99 = f"{latencies[int(len(latencies) * 0.99)]:.1f} ms" if latencies else "-"
        rate = news["sent"] / seconds
        return (
            f"fleet: {len(self.robots)} robots, {rate:.0f} requests/s, answered by {by or 'nobody'}, "
            f"p99 {p99}, failed {news['failed']} (of all {self.totals['failed']})"
        )

    async def _end(self, lives: list[asyncio.Task[None]]) -> None:
        """Nobody starts a new request; those under way may still be answered for a moment."""
        busy = [task for task, agent in zip(lives, self.agents, strict=False) if self._dismiss(task, agent)]
        finishing = [agent.voice.finish(LAST_ANSWERS_SECONDS) for agent in self.agents if agent.voice]
        if busy:
            await asyncio.wait(busy, timeout=LAST_ANSWERS_SECONDS)
        await asyncio.gather(*finishing)
        self.door.close()
        if busy:
            # One more turn of the loop, so that what ended as `stopped` is in the ledger too.
            await asyncio.wait(busy, timeout=0.2)
        for task in lives:
            task.cancel()
        await asyncio.gather(*lives, return_exceptions=True)

    def _dismiss(self, task: "asyncio.Task[None]", agent: Agent) -> bool:
        """Stop this robot now if it sleeps, else after its request. Is it still busy?"""
        agent.dismissed = True
        if not agent.in_flight:
            task.cancel()
        return bool(agent.in_flight)
