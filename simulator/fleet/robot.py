"""Who the robots are: drawn once from the seed, so the same seed gives the same fleet."""

import json
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Robot:
    """One robot's identity and habits.

    `clock_skew_seconds` is what its clock is wrong by; `timeout_seconds` how long it waits for an answer;
    `follows_updates` whether it installs what it is offered; `asks_as` the group it names in an update check.
    """

    robot_id: str
    kind: str
    site: str
    firmware: str
    cameras: tuple[str, ...]
    motors: tuple[str, ...]
    battery: dict[str, float] | None
    clock_skew_seconds: float
    interval_seconds: float
    timeout_seconds: float
    asks_as: str
    follows_updates: bool
    slow_link: bool

    def description(self) -> dict[str, Any]:
        """What the ledger says about it at the start."""
        return {
            "kind": self.kind,
            "site": self.site,
            "firmware": self.firmware,
            "cameras": list(self.cameras),
            "battery": self.battery is not None,
            "clock_skew_seconds": self.clock_skew_seconds,
            "interval_seconds": self.interval_seconds,
            "timeout_seconds": self.timeout_seconds,
            "slow_link": self.slow_link,
        }


@cache
def kinds() -> dict[str, dict[str, Any]]:
    """The layouts per kind: data, not code."""
    loaded: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "kinds.json").read_text())
    return loaded


def build_fleet(count: int, seed: int, interval_seconds: float, update_share: float, slow_share: float) -> list[Robot]:
    """`count` robots, kinds in turn, ids unique also when case is ignored."""
    chance = random.Random(seed)
    names = sorted(kinds())
    taken: set[str] = set()
    fleet = []
    for number in range(count):
        kind = names[number % len(names)]
        robot_id = _new_id(kind, chance, taken)
        habits = {"interval_seconds": interval_seconds, "update_share": update_share, "slow_share": slow_share}
        fleet.append(_robot(robot_id, kind, chance, **habits))
    return fleet


def _new_id(kind: str, chance: random.Random, taken: set[str]) -> str:
    while True:
        form = chance.choice(kinds()[kind]["id_forms"])
        robot_id = form.format(mac=f"{chance.getrandbits(32):08X}")
        if robot_id.lower() not in taken:
            taken.add(robot_id.lower())
            return str(robot_id)


def _robot(
    robot_id: str, kind: str, chance: random.Random, *, interval_seconds: float, update_share: float, slow_share: float
) -> Robot:
    layout = kinds()[kind]
    # Most clocks follow NTP; a few booted without a network and are hours behind.
    skew = chance.gauss(0, 0.1) if chance.random() < 0.97 else -chance.uniform(600, 7200)
    return Robot(
        robot_id=robot_id,
        kind=kind,
        site=chance.choice(layout["sites"]),
        firmware=chance.choice(layout["versions"]),
        cameras=tuple(layout["cameras"]),
        motors=tuple(layout["motors"]),
        battery=None if chance.random() < layout["wired_share"] else dict(layout["battery"]),
        clock_skew_seconds=round(skew, 3),
        interval_seconds=interval_seconds * chance.uniform(0.95, 1.05),
        timeout_seconds=round(chance.uniform(5, 10), 2),
        asks_as=chance.choice(("all", kind)),
        follows_updates=chance.random() < update_share,
        slow_link=chance.random() < slow_share,
    )
