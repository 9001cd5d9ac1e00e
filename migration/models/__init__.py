"""The control plane's tables, one file per aggregate."""

from migration.models.alert import Alert, Escalation
from migration.models.audit import AuditEntry
from migration.models.backup import Backup
from migration.models.check_result import CheckResult
from migration.models.contact import Channel, Contact, EscalationStep, RotaShift
from migration.models.deployment_mapping import DeploymentMapping, HandOver
from migration.models.discrepancy import Discrepancy
from migration.models.evidence import Comparison, GateResult, Pulse, TrafficSample
from migration.models.guarding import AutomationSwitch, WatchFinding, WatchRule
from migration.models.integrity_check import IntegrityCheck
from migration.models.match_entry import MatchEntry
from migration.models.notification import Delivery, Notification, Position
from migration.models.phase_configuration import PhaseConfiguration
from migration.models.phase_run import PhaseRun
from migration.models.pin import Pin
from migration.models.proposal import Proposal
from migration.models.quarantined_row import QuarantinedRow
from migration.models.ramp import Cohort, Ramp
from migration.models.reconciliation import Reconciliation
from migration.models.rehearsal import Rehearsal
from migration.models.restore import Restore
from migration.models.rollback import Rollback
from migration.models.shift import TrafficShift
from migration.models.side_by_side import SideBySide
from migration.models.sign_off import SignOff
from migration.models.sync_run import SyncRun
from migration.models.sync_state import SyncState, SyncTuning
from migration.models.synced_row import HistoryGap, Replayed, SyncedRow
from migration.models.vote import Vote
from migration.models.watch import FreezeWindow, HookAnswer, Presence

__all__ = [
    "Alert",
    "AuditEntry",
    "AutomationSwitch",
    "Backup",
    "Channel",
    "CheckResult",
    "Cohort",
    "Comparison",
    "Contact",
    "Delivery",
    "DeploymentMapping",
    "Discrepancy",
    "Escalation",
    "EscalationStep",
    "FreezeWindow",
    "GateResult",
    "HandOver",
    "HistoryGap",
    "HookAnswer",
    "IntegrityCheck",
    "MatchEntry",
    "Notification",
    "PhaseConfiguration",
    "PhaseRun",
    "Pin",
    "Position",
    "Presence",
    "Proposal",
    "Pulse",
    "QuarantinedRow",
    "Ramp",
    "Reconciliation",
    "Rehearsal",
    "Replayed",
    "Restore",
    "Rollback",
    "RotaShift",
    "SideBySide",
    "SignOff",
    "SyncRun",
    "SyncState",
    "SyncTuning",
    "SyncedRow",
    "TrafficSample",
    "TrafficShift",
    "Vote",
    "WatchFinding",
    "WatchRule",
]
