"""What happens to a robot between two heartbeats: somebody drives it, it warms up, its battery drains.

The legacy protocol can say almost nothing of this. It is the truth that the ledger keeps, against which every claim
about a robot's state is judged later.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from simulator.fleet.robot import Robot

AMBIENT_CELSIUS = 24.0
IDLE_HEAT_CELSIUS, DRIVING_HEAT_CELSIUS = 6.0, 30.0
WARM_UP_SECONDS = 240.0
CHARGING_W = 120.0
HOST_RUN_SECONDS = (30.0, 120.0, 300.0)

Tell = Callable[[str, str | float | bool | dict[str, float]], None]


class Teleop(StrEnum):
    """The robot's own view: `host_up` means that the host runs and nobody has connected."""

    HOST_DOWN = "host_down"
    HOST_UP = "host_up"
    JOINED = "operator_joined"
    DRIVING = "driving"
    #: another person takes the controls before the watchdog notices a gap; then it goes on as `DRIVING`
    HANDOVER = "handover"


# From each state: what may follow, how likely, and how many seconds the state lasts (at least, at most).
NEXT: dict[Teleop, tuple[tuple[Teleop, float], ...]] = {
    Teleop.HOST_DOWN: ((Teleop.HOST_UP, 1.0),),
    Teleop.HOST_UP: ((Teleop.JOINED, 0.7), (Teleop.HOST_DOWN, 0.3)),
    Teleop.JOINED: ((Teleop.DRIVING, 0.85), (Teleop.HOST_UP, 0.15)),
    Teleop.DRIVING: ((Teleop.JOINED, 0.5), (Teleop.HOST_UP, 0.3), (Teleop.HANDOVER, 0.2)),
    Teleop.HANDOVER: ((Teleop.DRIVING, 1.0),),
}
LASTS: dict[Teleop, tuple[float, float]] = {
    Teleop.HOST_DOWN: (10, 90),
    Teleop.HOST_UP: (5, 60),
    Teleop.JOINED: (1, 8),
    Teleop.DRIVING: (5, 45),
    Teleop.HANDOVER: (0, 0),
}
#: somebody or something is connected
JOINED = (Teleop.JOINED, Teleop.DRIVING, Teleop.HANDOVER)
OPERATORS = tuple(f"operator-{number}" for number in range(1, 13))
DRIVERS = ("human", "human", "human", "policy", "replay")


@dataclass(slots=True)
class Life:
    """One robot's changing truth; `advance` moves it on and tells what became true."""

    robot: Robot
    chance: random.Random
    tell: Tell
    teleop: Teleop = Teleop.HOST_DOWN
    driver: str | None = None
    operator: str | None = None
    entered_at: float = 0.0
    #: since when commands come without a gap
    commanded_since: float = 0.0
    host_began_at: float = 0.0
    battery_percent: float | None = None
    charging: bool = False
    temperatures: dict[str, float] = field(default_factory=dict)
    _now: float = 0.0
    _changes_at: float = 0.0
    _host_ends_at: float = 0.0
    _told_battery: int = -1
    _told_hottest: int = -1

    def begin(self, now: float) -> None:
        """Start somewhere in the middle of a day, not with the whole fleet freshly charged."""
        self._now = now
        self.battery_percent = None if self.robot.battery is None else self.chance.uniform(25, 100)
        self.temperatures = {motor: AMBIENT_CELSIUS + self.chance.uniform(0, 8) for motor in self.robot.motors}
        self._enter(self.chance.choice([state for state in Teleop if state is not Teleop.HANDOVER]), now)

    def advance(self, now: float) -> None:
        """Let the time since the last call pass (seconds, monotonic)."""
        elapsed, self._now = now - self._now, now
        if self.teleop is not Teleop.HOST_DOWN and now >= self._host_ends_at:
            # The host runs for a fixed time and ends, also under an operator's hands.
            self._enter(Teleop.HOST_DOWN, now)
        elif now >= self._changes_at:
            states, weights = zip(*NEXT[self.teleop], strict=True)
            self._enter(self.chance.choices(states, weights)[0], now)
        self._drain(elapsed)
        self._warm(elapsed)

    def stop_session(self) -> bool:
        """End the operator's session, as an operator of this system asked; False when there is none."""
        if self.teleop not in JOINED:
            return False
        self._enter(Teleop.HOST_UP, self._now)
        self.tell("stopped", True)
        return True

    @property
    def is_driven(self) -> bool:
        """Commands come."""
        return self.teleop in (Teleop.DRIVING, Teleop.HANDOVER)

    @property
    def changes_at(self) -> float:
        """When the next change comes, at the latest (monotonic seconds)."""
        if self.teleop is Teleop.HOST_DOWN:
            return self._changes_at
        return min(self._changes_at, self._host_ends_at)

    @property
    def host_runs_for(self) -> float:
        """How long the present host runs before it ends by itself, seconds."""
        return self._host_ends_at - self.host_began_at

    @property
    def host_runs(self) -> bool:
        """All that the legacy system ever looks at."""
        return self.teleop is not Teleop.HOST_DOWN

    def _enter(self, state: Teleop, now: float) -> None:
        if state is not Teleop.HOST_DOWN and (self.teleop is Teleop.HOST_DOWN or not self._host_ends_at):
            self._host_ends_at = now + self.chance.choice(HOST_RUN_SECONDS)
            self.host_began_at = now
        was, self.teleop, self.entered_at = self.teleop, state, now
        if state is Teleop.HANDOVER:
            self._hand_over()
        elif state in JOINED and self.operator is None:
            self.operator = self.chance.choice(OPERATORS)
            self.tell("operator", self.operator)
        elif state not in JOINED:
            self.operator = None
        if state is Teleop.DRIVING and was is not Teleop.HANDOVER:
            self.driver, self.commanded_since = self.chance.choice(DRIVERS), now
        elif state not in (Teleop.DRIVING, Teleop.HANDOVER):
            self.driver = None
        self._changes_at = now + self.chance.uniform(*LASTS[state])
        self.tell("teleop", state.value)
        if self.driver is not None:
            self.tell("driver", self.driver)

    def _hand_over(self) -> None:
        """The next one drives on; what a policy drove a policy drives on."""
        self.operator = self.chance.choice([each for each in OPERATORS if each != self.operator])
        self.tell("operator", self.operator)

    def _drain(self, elapsed: float) -> None:
        battery = self.robot.battery
        if battery is None or self.battery_percent is None:
            return
        draw = battery["driving_w"] if self.is_driven else battery["idle_w"]
        if self.charging:
            draw -= CHARGING_W
        spent = draw * elapsed / 3600 / battery["capacity_wh"] * 100
        self.battery_percent = min(100.0, max(0.0, self.battery_percent - spent))
        if self.battery_percent < 12 and not self.charging:
            self.charging = True
            self.tell("charging", True)
        elif self.battery_percent > 95 and self.charging:
            self.charging = False
            self.tell("charging", False)
        if int(self.battery_percent) != self._told_battery:
            self._told_battery = int(self.battery_percent)
            self.tell("battery_percent", round(self.battery_percent, 1))

    def _warm(self, elapsed: float) -> None:
        heat = DRIVING_HEAT_CELSIUS if self.is_driven else IDLE_HEAT_CELSIUS
        share = min(1.0, elapsed / WARM_UP_SECONDS)
        hottest = 0.0
        for number, (motor, celsius) in enumerate(self.temperatures.items()):
            # Motors that carry the arm get warmer than the gripper.
            goal = AMBIENT_CELSIUS + heat * (0.7 + 0.1 * (number % 5))
            now = self.temperatures[motor] = celsius + (goal - celsius) * share
            hottest = max(hottest, now)
        if abs(hottest - self._told_hottest) >= 2:
            self._told_hottest = int(hottest)
            self.tell("motor_temperature_celsius", {motor: round(c, 1) for motor, c in self.temperatures.items()})
