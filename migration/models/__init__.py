"""The control plane's tables, one file per aggregate."""

from migration.models.alert import Alert
from migration.models.audit import AuditEntry
from migration.models.evidence import Comparison, GateResult, Pulse, TrafficSample
from migration.models.phase_run import PhaseRun
from migration.models.pin import Pin
from migration.models.rollback import Rollback
from migration.models.shift import TrafficShift
from migration.models.vote import Vote

__all__ = [
    "Alert",
    "AuditEntry",
    "Comparison",
    "GateResult",
    "PhaseRun",
    "Pin",
    "Pulse",
    "Rollback",
    "TrafficSample",
    "TrafficShift",
    "Vote",
]
