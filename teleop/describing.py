"""What the API shows of a robot's operation."""

from dataclasses import asdict
from typing import Any

from heartbeat.models import Robot
from teleop.rules.reading import Host, OperationReport, read_operation

SCHEMA = {
    "type": "object",
    "description": "What the robot last reported about operation",
    "required": ["host", "operated", "evidence"],
    "properties": {
        "host": {"enum": [host.value for host in Host], "description": "the program that an operator connects to"},
        "operated": {"type": ["boolean", "null"], "description": "null: the robot cannot tell"},
        "evidence": {"type": "string"},
    },
}


def operation_of(robot: Robot) -> OperationReport:
    """What the robot last reported about operation: a v2 payload counts unless a legacy heartbeat is newer."""
    newest_is_v2 = robot.last_v2_at is not None and robot.last_v2_at == robot.last_status_at
    return read_operation(robot.health, robot.payload if newest_is_v2 else None)


def describe(robot: Robot) -> dict[str, Any]:
    """The member `teleop` of a robot: host (up, down, unknown), operated (true, false, null: cannot tell), evidence."""
    return asdict(operation_of(robot))
