"""The control plane's tables, one file per aggregate."""

from migration.models.alert import Alert
from migration.models.audit import AuditEntry
from migration.models.discrepancy import Discrepancy
from migration.models.evidence import Comparison, GateResult, Pulse, TrafficSample
from migration.models.integrity_check import IntegrityCheck
from migration.models.phase_run import PhaseRun
from migration.models.pin import Pin
from migration.models.reconciliation import Reconciliation
from migration.models.rollback import Rollback
from migration.models.shift import TrafficShift
from migration.models.vote import Vote

__all__ = [
    "Alert",
    "AuditEntry",
    "Comparison",
    "Discrepancy",
    "GateResult",
    "IntegrityCheck",
    "PhaseRun",
    "Pin",
    "Pulse",
    "Reconciliation",
    "Rollback",
    "TrafficSample",
    "TrafficShift",
    "Vote",
]
