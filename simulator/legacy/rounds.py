"""Legacy's two background rounds: the offline marker, and the serial look at each robot's host."""

import asyncio
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from simulator.legacy.state import LegacyState, Row

SUBNETS = {"xle": "192.168.50", "lekiwi": "192.168.88"}


def address_of(robot_id: str) -> str:
    """The robot's address in the site's network: a made-up one, stable per id.

    A subnet has 254 places, so a large fleet has robots that share an address, as reused leases do in the field.
    """
    kind = "xle" if "xle" in robot_id.lower() else "lekiwi"
    return f"{SUBNETS[kind]}.{zlib.crc32(robot_id.lower().encode()) % 254 + 1}"


async def mark_offline(state: LegacyState, every_seconds: float, after_seconds: float) -> None:
    """Every round, overwrite `health` of rows that were silent for `after_seconds` by the string "offline"."""
    silence = timedelta(seconds=after_seconds)
    while True:
        await asyncio.sleep(every_seconds)
        now = state.now()
        for row in state.robots.values():
            if _silent_for(row, now) > silence:
                row["health"] = "offline"


@dataclass(slots=True)
class TeleopPolling:
    """Looks at one robot at a time, `look_seconds` each, so with 200 robots an entry of `seen` is minutes old.

    `seen` maps a robot's id to what was believed and when.
    """

    state: LegacyState
    look_seconds: float
    seen: dict[str, Row] = field(default_factory=dict)
    # One SSH connection at a time is what makes the legacy system slow; a request waits in the same queue.
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Go round the robots for ever."""
        while True:
            for robot_id in list(self.state.robots):
                await self.look_at(address_of(robot_id), robot_id)
            await asyncio.sleep(max(self.look_seconds, 0.05))

    async def look_at(self, ip: str, robot_id: str | None = None) -> Row:
        """Open "SSH" to `ip`, which takes `look_seconds` once it is its turn, and report what the services say."""
        async with self._turn:
            await asyncio.sleep(self.look_seconds)
        if robot_id is None:
            robot_id = next((known for known in self.state.robots if address_of(known) == ip), None)
        row = self.state.robots.get(robot_id) if robot_id is not None else None
        if robot_id is None or row is None:
            return self._report(ip, reached=False, runs=False)
        report = self._report(ip, reached=True, runs=_host_service_runs(row))
        self.seen[robot_id] = {"teleoperated": report["teleoperated"], "checked_at": report["checked_at"]}
        return report

    def _report(self, ip: str, reached: bool, runs: bool) -> Row:
        # The known mistake: a running host service is taken for an operator.
        said = "Teleoperation host is running" if runs else "Teleoperation host is not running"
        message = said if reached else "Connection timed out"
        return {
            "success": reached,
            "teleop_host_ready": runs,
            "teleop_operated": runs,
            "teleoperated": runs,
            "host_status": {"active": runs, "message": message},
            "operation_status": {
                "active": runs,
                "message": "Being teleoperated" if runs else "Not teleoperated",
                "connections": 1 if runs else 0,
                "cpu_usage": 0.0,
                "recent_activity": runs,
            },
            "checked_at": self.state.now().isoformat(),
            "robot_ip": ip,
        }


def _silent_for(row: Row, now: datetime) -> timedelta:
    try:
        return now - datetime.fromisoformat(row["last_seen"])
    except (KeyError, TypeError, ValueError):
        # A row without a readable clock is never called silent, and never stops the round for the others.
        return timedelta()


def _host_service_runs(row: Row) -> bool:
    health = row.get("health")
    services = health.get("services") if isinstance(health, dict) else None
    return isinstance(services, dict) and services.get("teleop") == "active"
