"""Robots, their heartbeats, the rows legacy would keep, deployments."""

from heartbeat.models.deployment import Deployment, DeploymentsRevision, Package
from heartbeat.models.heartbeat import Call, Heartbeat
from heartbeat.models.legacy_row import LegacyRow
from heartbeat.models.robot import Kind, Protocol, Robot, Role, Side

__all__ = [
    "Call",
    "Deployment",
    "DeploymentsRevision",
    "Heartbeat",
    "Kind",
    "LegacyRow",
    "Package",
    "Protocol",
    "Robot",
    "Role",
    "Side",
]
