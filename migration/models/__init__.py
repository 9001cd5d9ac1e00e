"""The control plane's tables, one file per aggregate."""

from migration.models.alert import Alert
from migration.models.audit import AuditEntry
from migration.models.discrepancy import Discrepancy
from migration.models.deployment_mapping import DeploymentMapping
from migration.models.evidence import Comparison, GateResult, Pulse, TrafficSample
from migration.models.integrity_check import IntegrityCheck
from migration.models.match_entry import MatchEntry
from migration.models.phase_run import PhaseRun
from migration.models.pin import Pin
from migration.models.reconciliation import Reconciliation
from migration.models.quarantined_row import QuarantinedRow
from migration.models.rollback import Rollback
from migration.models.shift import TrafficShift
from migration.models.sync_run import SyncRun
from migration.models.sync_state import SyncState, SyncTuning
from migration.models.synced_row import HistoryGap, Replayed, SyncedRow
from migration.models.vote import Vote

__all__ = [
    "Alert",
    "AuditEntry",
    "Comparison",
    "Discrepancy",
    "DeploymentMapping",
    "GateResult",
    "IntegrityCheck",
    "HistoryGap",
    "MatchEntry",
    "PhaseRun",
    "Pin",
    "Pulse",
    "Reconciliation",
    "QuarantinedRow",
    "Replayed",
    "Rollback",
    "SyncRun",
    "SyncState",
    "SyncTuning",
    "SyncedRow",
    "TrafficSample",
    "TrafficShift",
    "Vote",
]
