"""What a robot's agent reports of the script at a moment: the right thing, with noise, and only what it can see."""

import random
from dataclasses import dataclass
from typing import Any

from simulator.operating.script import WATCHDOG_SECONDS, Commands, Script, Visit

COMMAND_PORT, OBSERVATION_PORT = 5555, 5556
COMMANDS_HZ = 30.0
#: how often the agent looks, and how often it reports while somebody drives or may come back
LOOK_SECONDS, LIVE_SECONDS = 0.1, 0.25


@dataclass(slots=True)
class Sensing:
    """One robot's agent. `start` is its clock's zero, by the script's time; it starts anew after the robot was off."""

    script: Script
    chance: random.Random
    start: float = 0.0
    _told: tuple[Any, ...] | None = None
    _told_at: float = -1e9

    def look(self, at: float) -> dict[str, Any] | None:
        """A report of signals if it is time for one: something changed, or somebody drives. Call every LOOK_SECONDS."""
        mark = self._mark(at)
        live = mark[0] != "rest"
        due = LIVE_SECONDS if live else 5.0
        if mark == self._told and at - self._told_at < due - 1e-6:
            return None
        self._told, self._told_at = mark, at
        return {**self.document(at), "next_in_ms": due * 1000}

    def document(self, at: float) -> dict[str, Any]:
        """All that the robot can say now, as the member `teleop` of a heartbeat."""
        script = self.script
        said: dict[str, Any] = {"measured_ms": round((at - self.start) * 1000, 1)}
        hosted = script.host_since(at)
        if script.sense == "devices":
            return {**said, **self._devices(at)}
        said |= {"host_up": hosted is not None, "service": "active" if hosted is not None else "inactive"}
        if hosted is None:
            return {**said, "observers": 0} if script.sense != "kernel" else {**said, "flows": []}
        said |= {"host_up_for_ms": round((at - hosted) * 1000), "host_runs_for_ms": script.host_runs[hosted] * 1000}
        visits = [each for each in script.visits if each.begin <= at < each.end]
        if script.sense == "kernel":
            return {**said, **self._kernel(at, visits, hosted)}
        return {**said, **self._hosts_own(at, visits, hosted)}

    def _hosts_own(self, at: float, visits: list[Visit], hosted: float) -> dict[str, Any]:
        run, age = self._run(at, hosted)
        driven = age is not None and age <= WATCHDOG_SECONDS
        # The watchdog reads the wall clock: now and then a step of it trips it under somebody's hands.
        tripped = driven and self.chance.random() < 0.01
        said: dict[str, Any] = {"observers": len({each.operator for each in visits if at < each.reads_until})}
        said |= {"watchdog_active": not driven or tripped, "command_rate_hz": 0.0, "moving": driven}
        if run is not None and age is not None:
            said["command_age_ms"] = round(age * 1000, 1)
            if driven:
                said["commanded_for_ms"] = round((at - run) * 1000, 1)
                said["command_rate_hz"] = round(max(2.0, self.chance.gauss(COMMANDS_HZ, 2)), 1)
        if self.script.declares_driver and driven:
            said["driver"] = self._driver(at)
        if self.script.sense == "full":
            said |= self._people(at, visits)
        return said

    def _people(self, at: float, visits: list[Visit]) -> dict[str, Any]:
        ages = [(each.operator, self._age_of(each.operator, at)) for each in visits]
        peers = [self._peer(each.operator) for each in visits]
        return {
            "operators": [
                {"id": operator} | ({} if age is None else {"command_age_ms": round(age * 1000, 1)})
                for operator, age in ages
            ],
            "flows": [
                {"port": COMMAND_PORT, "remote": f"10.0.0.{len(operator)}", "operator": operator}
                | ({} if age is None else {"received_age_ms": round(age * 1000, 1)})
                for operator, age in ages
            ],
            "peers": peers,
        }

    def _peer(self, operator: str) -> dict[str, Any]:
        rtt = min(2_000.0, self.chance.lognormvariate(3.4, 0.5))
        return {
            "id": f"pc-{operator}",
            "state": "connected",
            "operator": operator,
            "rtt_ms": round(rtt, 1),
            "loss_percent": round(min(100.0, self.chance.expovariate(1.2)), 2),
            "bitrate_kbps": round(self.chance.gauss(2_400, 200), 0),
            "fps": round(max(0.0, self.chance.gauss(28, 2)), 1),
        }

    def _kernel(self, at: float, visits: list[Visit], hosted: float) -> dict[str, Any]:
        run, age = self._run(at, hosted)
        flows = []
        for visit in visits:
            received = self._age_of(visit.operator, at)
            flow = {"port": COMMAND_PORT, "remote": visit.operator, "rtt_ms": round(self.chance.uniform(2, 40), 1)}
            flows.append(flow if received is None else {**flow, "received_age_ms": round(received * 1000, 1)})
        said: dict[str, Any] = {"flows": flows}
        if run is not None and age is not None and age <= WATCHDOG_SECONDS:
            said["commanded_for_ms"] = round((at - run) * 1000, 1)
        return said

    def _devices(self, at: float) -> dict[str, Any]:
        run, age = self._run(at, 0.0)
        visits = [each for each in self.script.visits if each.begin <= at < each.end]
        moving = age is not None and age <= WATCHDOG_SECONDS
        said: dict[str, Any] = {"host_up": True, "moving": moving, "peers": [self._peer(v.operator) for v in visits]}
        reading = [each for each in visits if at < each.reads_until]
        said["devices"] = [
            {"kind": "leader_arm", "operator": each.operator}
            | ({} if age is None else {"active_age_ms": round(age * 1000, 1)})
            for each in reading
        ]
        if moving and run is not None:
            said["commanded_for_ms"] = round((at - run) * 1000, 1)
        return said

    def _run(self, at: float, hosted: float) -> tuple[float | None, float | None]:
        """(since when commands come without a gap, the age of the latest) of this host's run; noise included."""
        commands = [each for each in self.script.commands if hosted <= each.begin <= at]
        if not commands:
            return None, None
        latest = max(commands, key=lambda each: min(each.end, at))
        begin = latest.begin
        for each in sorted(commands, key=lambda each: -each.end):
            if each.begin < begin <= each.end + WATCHDOG_SECONDS:
                begin = each.begin
        return begin, self._age(latest, at)

    def _age(self, latest: Commands, at: float) -> float:
        if at > latest.end:
            return at - latest.end
        # Frames that the network held back: long, but not so long that the watchdog notices.
        longest = 0.45 if self.chance.random() < 0.03 else 0.045
        return min(self.chance.uniform(0.001, longest), at - latest.begin)

    def _age_of(self, operator: str, at: float) -> float | None:
        commands = [each for each in self.script.commands if each.operator == operator and each.begin <= at]
        return self._age(max(commands, key=lambda each: each.end), at) if commands else None

    def _driver(self, at: float) -> str:
        return next((each.driver for each in self.script.sessions if each.begin <= at <= each.end), "unknown")

    def _mark(self, at: float) -> tuple[Any, ...]:
        """What makes a report due when it changes."""
        script = self.script
        commanding = tuple(sorted({each.operator for each in script.commands if each.begin <= at <= each.end}))
        recent = any(each.begin <= at <= each.end + WATCHDOG_SECONDS + 0.6 for each in script.commands)
        stale = not any(each.begin <= at <= each.end + WATCHDOG_SECONDS for each in script.commands)
        visits = tuple(
            sorted(each.operator for each in script.visits if each.begin <= at < min(each.end, each.reads_until))
        )
        return "live" if recent else "rest", commanding, stale, visits, script.host_since(at)
