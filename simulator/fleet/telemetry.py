"""What a v2 robot says of itself, made from its life: fields of the v2 heartbeat, per kind."""

import random
import time
import zlib
from dataclasses import dataclass, field
from typing import Any

from simulator.fleet.life import Life, Teleop
from simulator.fleet.robot import Robot
from simulator.fleet.updating import Update

COMMANDS_HZ = 30.0
PACK_VOLTS = 12.0


@dataclass(slots=True)
class Telemetry:
    """One robot's sensors. What changes slowly is remembered: joints, disk, signal."""

    robot: Robot
    life: Life
    chance: random.Random
    _joints: dict[str, float] = field(default_factory=dict)
    _rssi_dbm: float = field(init=False)
    _disk_percent: float = field(init=False)

    def __post_init__(self) -> None:
        self._rssi_dbm = self.chance.uniform(-75, -45)
        self._disk_percent = self.chance.uniform(20, 70)

    def fields(self, update: Update, services: dict[str, str], next_in_s: float) -> dict[str, Any]:
        """The heartbeat's fields but its identity. What the robot does not have or know is left out."""
        driving = self.life.is_driven
        said = {
            "kind": self.robot.kind,
            "site": self.robot.site,
            "firmware": self.robot.firmware,
            "status": update.status,
            "version": update.version,
            "deployment_id": update.deployment_id,
            "message": update.message,
            "battery_percent": _rounded(self.life.battery_percent),
            "cpu_temperature_celsius": round(48 + 12 * driving + self.chance.gauss(0, 1.5), 1),
            "cpu_load_percent": round(max(0.0, 22 + 45 * driving + self.chance.gauss(0, 5)), 1),
            "memory_percent": round(min(100.0, 38 + 14 * self.life.host_runs + self.chance.gauss(0, 1)), 1),
            "disk_percent": round(self._disk_percent, 1),
            "network": self._network(),
            "motors": self._motors(driving),
            "cameras": self._cameras(),
            "base": self._base(driving),
            "services": services,
            "teleop": self.operation(),
            "next_in_s": round(next_in_s, 3),
        }
        return {name: value for name, value in said.items() if value is not None}

    def _network(self) -> dict[str, float]:
        self._rssi_dbm = min(-30.0, max(-90.0, self._rssi_dbm + self.chance.gauss(0, 1)))
        return {"rssi_dbm": round(self._rssi_dbm, 1), "rtt_ms": round(self.chance.lognormvariate(1.6, 0.4), 2)}

    def _motors(self, driving: bool) -> list[dict[str, Any]]:
        return [self._motor(number, name, driving) for number, name in enumerate(self.robot.motors, 1)]

    def _motor(self, number: int, name: str, driving: bool) -> dict[str, Any]:
        busy = driving * self.chance.uniform(0.2, 1.0)
        motor: dict[str, Any] = {
            "id": number,
            "name": name,
            "temperature_celsius": round(self.life.temperatures.get(name, 0.0), 1),
            "voltage_volts": round(PACK_VOLTS - busy * 0.6 + self.chance.gauss(0, 0.05), 2),
            "load_percent": round(3 + 40 * busy, 1),
            "current_milliamperes": round(40 + 600 * busy, 1),
            "status": 0,
        }
        if name.endswith("_wheel"):
            motor["velocity"] = round(busy * self.chance.uniform(-180, 180), 1)
        else:
            moved = self._joints.get(name, self.chance.uniform(-60, 60)) + busy * self.chance.gauss(0, 8)
            self._joints[name] = min(110.0, max(-110.0, moved))
            motor["position_degrees"] = round(self._joints[name], 2)
        return motor

    def _cameras(self) -> list[dict[str, Any]]:
        """Layouts say `front 640x480@30`. Without the host nobody reads the cameras."""
        cameras = []
        for camera in self.robot.cameras:
            name, _, mode = camera.partition(" ")
            full = float(mode.partition("@")[2])
            fps = round(min(full, full + self.chance.gauss(-0.3, 0.4)), 1) if self.life.host_runs else 0.0
            cameras.append({"name": name, "fps": max(0.0, fps)})
        return cameras

    def _base(self, driving: bool) -> dict[str, float]:
        speed = driving * 1.0
        return {
            "x_vel": round(speed * self.chance.uniform(-0.3, 0.3), 3),
            "y_vel": round(speed * self.chance.uniform(-0.3, 0.3), 3),
            "theta_vel": round(speed * self.chance.uniform(-90, 90), 1),
        }

    def operation(self) -> dict[str, Any]:
        """What it sees of an operator, as the heartbeat's member `teleop`."""
        now, life = time.monotonic(), self.life
        said: dict[str, Any] = {"measured_ms": round(now * 1000, 1)}
        if not life.host_runs:
            return {**said, "host_up": False, "observers": 0}
        said |= {"host_up": True, "host_up_for_ms": round((now - life.host_began_at) * 1000)}
        said["host_runs_for_ms"] = round(life.host_runs_for * 1000)
        driving = life.is_driven
        if not driving:
            observers = int(life.teleop is Teleop.JOINED)
            return {**said, "observers": observers, "command_rate_hz": 0.0, "watchdog_active": True}
        rate = max(1.0, self.chance.gauss(COMMANDS_HZ, 1.5))
        age = round(self.chance.uniform(1, 1000 / rate + 10), 1)
        said |= {"observers": 1, "command_age_ms": age, "command_rate_hz": round(rate, 1), "watchdog_active": False}
        said["commanded_for_ms"] = round(max(age, (now - life.commanded_since) * 1000), 1)
        said["driver"] = life.driver or "unknown"
        if life.operator:
            said["operators"] = [{"id": life.operator, "command_age_ms": age}]
            said["peers"] = [self._peer(life.operator)]
        return said

    def _peer(self, operator: str) -> dict[str, Any]:
        """Mostly well connected; one in eight operators is far away, for as long as this robot knows them."""
        far = zlib.crc32(f"{self.robot.robot_id} {operator}".encode()) % 8 == 0
        return {
            "id": f"pc-{operator}",
            "operator": operator,
            "rtt_ms": round(self.chance.lognormvariate(5.0 if far else 3.4, 0.3), 1),
            "loss_percent": round(min(100.0, self.chance.expovariate(0.15 if far else 2.0)), 2),
            "bitrate_kbps": round(max(0.0, self.chance.gauss(900 if far else 2_400, 200))),
            "fps": round(max(0.0, self.chance.gauss(12 if far else 28, 2)), 1),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
