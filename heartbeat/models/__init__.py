"""Robots, their heartbeats, the rows legacy would keep, deployments."""

from heartbeat.models.deployment import Deployment, DeploymentsRevision, Package
from heartbeat.models.enrolment_token import EnrolmentToken
from heartbeat.models.hearing import Deafness, Hearing
from heartbeat.models.heartbeat import Call, Heartbeat
from heartbeat.models.heartbeat_minute import HeartbeatMinute, RolledUpDay
from heartbeat.models.incident import Incident, IncidentMember, Notice, Route
from heartbeat.models.lease import Lease
from heartbeat.models.legacy_closure import LegacyClosure
from heartbeat.models.legacy_row import LegacyRow
from heartbeat.models.liveness import RobotLiveness
from heartbeat.models.liveness_event import LivenessEvent
from heartbeat.models.maintenance_window import MaintenanceWindow
from heartbeat.models.operator_token import OperatorToken
from heartbeat.models.registers import Boot, Profile, Spelling
from heartbeat.models.relay import Relayed, RelayState
from heartbeat.models.robot import Kind, Protocol, Robot, Role, Side
from heartbeat.models.robot_token import RobotToken

__all__ = [
    "Boot",
    "Call",
    "Deafness",
    "Deployment",
    "DeploymentsRevision",
    "EnrolmentToken",
    "Hearing",
    "Heartbeat",
    "HeartbeatMinute",
    "Incident",
    "IncidentMember",
    "Kind",
    "Lease",
    "LegacyClosure",
    "LegacyRow",
    "LivenessEvent",
    "MaintenanceWindow",
    "Notice",
    "OperatorToken",
    "Package",
    "Profile",
    "Protocol",
    "RelayState",
    "Relayed",
    "Robot",
    "RobotLiveness",
    "RobotToken",
    "Role",
    "RolledUpDay",
    "Route",
    "Side",
    "Spelling",
]
