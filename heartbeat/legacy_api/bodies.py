"""Legacy's request bodies. Their field order is the order of the errors in its 422 answers."""

from typing import Any

from pydantic import BaseModel


class RobotStatus(BaseModel):
    """`POST /api/robot/status`."""

    robot_id: str
    deployment_id: str | None = None
    version: str | None = None
    status: str
    message: str | None = None
    health: dict[str, Any] | None = None


class RollbackRequest(BaseModel):
    """`POST /api/rollback`."""

    deployment_id: str | None = None
    version: str | None = None
    time_ago: str | None = None
    target_group: str = "all"
