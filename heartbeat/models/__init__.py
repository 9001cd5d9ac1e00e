"""Robots, their heartbeats, the rows legacy would keep, deployments."""

from heartbeat.models.deployment import Deployment, DeploymentsRevision, Package
from heartbeat.models.enrolment_token import EnrolmentToken
from heartbeat.models.heartbeat import Call, Heartbeat
from heartbeat.models.legacy_closure import LegacyClosure
from heartbeat.models.legacy_row import LegacyRow
from heartbeat.models.operator_token import OperatorToken
from heartbeat.models.registers import Boot, Profile, Spelling
from heartbeat.models.robot import Kind, Protocol, Robot, Role, Side
from heartbeat.models.robot_token import RobotToken

__all__ = [
    "Boot",
    "Call",
    "Deployment",
    "DeploymentsRevision",
    "EnrolmentToken",
    "Heartbeat",
    "Kind",
    "LegacyClosure",
    "LegacyRow",
    "OperatorToken",
    "Package",
    "Profile",
    "Protocol",
    "Robot",
    "RobotToken",
    "Role",
    "Side",
    "Spelling",
]
