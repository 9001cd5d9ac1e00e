"""The control plane in Django's admin. Everything is history here: changes go through the use cases."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from migration import models


class ReadOnly(admin.ModelAdmin):
    """Shows rows; nobody adds, changes or deletes them here."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


@admin.register(models.PhaseRun)
class PhaseRunAdmin(ReadOnly):
    list_display = ["id", "slug", "state", "started_at", "ended_at", "build"]
    list_filter = ["state", "slug"]


@admin.register(models.TrafficShift)
class TrafficShiftAdmin(ReadOnly):
    list_display = [
        "id",
        "from_percent",
        "to_percent",
        "state",
        "requested_by",
        "requested_at",
        "observed_at",
        "failure",
    ]
    list_filter = ["state"]


@admin.register(models.Rollback)
class RollbackAdmin(ReadOnly):
    list_display = ["decided_at", "from_percent", "to_percent", "trigger", "state", "seconds", "actor", "reason"]
    list_filter = ["trigger", "state"]


@admin.register(models.Vote)
class VoteAdmin(ReadOnly):
    list_display = ["run", "role", "person", "choice", "comment", "cast_at"]
    list_filter = ["role", "choice"]


@admin.register(models.GateResult)
class GateResultAdmin(ReadOnly):
    list_display = ["run", "gate", "verdict", "sentence", "since", "judged_at"]
    list_filter = ["gate", "verdict"]


@admin.register(models.Comparison)
class ComparisonAdmin(ReadOnly):
    list_display = ["at", "rows", "seconds", "failure"]


@admin.register(models.Discrepancy)
class DiscrepancyAdmin(ReadOnly):
    list_display = ["robot_id", "subject", "field", "state", "since", "confirmed_at", "ended_at"]
    list_filter = ["state", "subject", "field"]


@admin.register(models.Reconciliation)
class ReconciliationAdmin(ReadOnly):
    list_display = ["discrepancy", "taker", "state", "proposed_by", "reviewed_by", "failure"]
    list_filter = ["state", "taker"]


@admin.register(models.IntegrityCheck)
class IntegrityCheckAdmin(ReadOnly):
    list_display = ["started_at", "state", "rows", "different", "seconds", "failure"]


@admin.register(models.AuditEntry)
class AuditEntryAdmin(ReadOnly):
    list_display = ["sequence", "at", "actor", "action", "sentence"]
    list_filter = ["action"]
    search_fields = ["actor", "sentence"]


@admin.register(models.Alert)
class AlertAdmin(ReadOnly):
    list_display = ["name", "severity", "sentence", "opened_at", "closed_at"]


@admin.register(models.Pulse)
class PulseAdmin(ReadOnly):
    list_display = ["name", "at"]


@admin.register(models.TrafficSample)
class TrafficSampleAdmin(ReadOnly):
    list_display = ["at"]


@admin.register(models.Pin)
class PinAdmin(ReadOnly):
    list_display = ["key", "side", "pinned_by", "pinned_at", "reason"]
