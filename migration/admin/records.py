"""The control plane in Django's admin. Everything is history here: changes go through the use cases."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from heartbeat.read_only import ReadOnly
from migration import models, voting
from migration.actors import Actor
from migration.contacts import changing
from migration.errors import Refused


@admin.register(models.PhaseRun)
class PhaseRunAdmin(ReadOnly):
    list_display = ["id", "slug", "state", "started_at", "ended_at", "build"]
    search_fields = ["slug", "build"]
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
    search_fields = ["requested_by", "reason", "failure"]
    list_filter = ["state"]


@admin.register(models.Rollback)
class RollbackAdmin(ReadOnly):
    list_display = ["decided_at", "from_percent", "to_percent", "trigger", "state", "seconds", "actor", "reason"]
    search_fields = ["actor", "reason"]
    list_filter = ["trigger", "state"]


@admin.register(models.Vote)
class VoteAdmin(ReadOnly):
    """Shows the votes, and records the vote of whoever is logged in, through the same use case as everywhere."""

    list_display = ["run", "role", "person", "as_backup", "choice", "comment", "cast_at", "void_reason"]
    search_fields = ["person__username", "comment"]
    list_filter = ["role", "choice"]
    fields = ["choice", "comment"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may vote."""
        return request.user.has_perm("migration.cast_vote")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Cast it."""
        obj.pk = voting.cast(request.user, form.cleaned_data["choice"], form.cleaned_data["comment"]).pk
        obj.refresh_from_db()

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Say why a vote is not recorded, such as a person without a role."""
        try:
            return super().add_view(request, form_url, extra_context)
        except Refused as refused:
            self.message_user(request, str(refused), messages.ERROR)
            return redirect("admin:migration_vote_changelist")


@admin.register(models.GateResult)
class GateResultAdmin(ReadOnly):
    list_display = ["run", "gate", "verdict", "sentence", "since", "judged_at"]
    search_fields = ["gate", "sentence"]
    list_filter = ["gate", "verdict"]


@admin.register(models.Comparison)
class ComparisonAdmin(ReadOnly):
    list_display = ["at", "rows", "seconds", "failure"]


@admin.register(models.Discrepancy)
class DiscrepancyAdmin(ReadOnly):
    list_display = ["robot_id", "subject", "field", "state", "since", "confirmed_at", "ended_at"]
    search_fields = ["robot_id", "field"]
    list_filter = ["state", "subject", "field"]


@admin.register(models.Reconciliation)
class ReconciliationAdmin(ReadOnly):
    list_display = ["discrepancy", "taker", "state", "proposed_by", "reviewed_by", "failure"]
    search_fields = ["discrepancy__robot_id", "proposed_by", "reviewed_by"]
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
    list_display = ["name", "severity", "sentence", "opened_at", "closed_at", "acknowledged_by"]
    search_fields = ["name", "sentence"]
    list_filter = ["severity", "source"]


@admin.register(models.Escalation)
class EscalationAdmin(ReadOnly):
    list_display = ["alert", "step", "who", "told_at"]
    search_fields = ["alert__name", "who"]


@admin.register(models.Notification)
class NotificationAdmin(ReadOnly):
    list_display = ["id", "kind", "sentence", "at"]
    search_fields = ["sentence"]
    list_filter = ["kind"]


@admin.register(models.Delivery)
class DeliveryAdmin(ReadOnly):
    list_display = ["id", "destination", "state", "attempts", "created_at", "sent_at", "failure"]
    search_fields = ["destination", "failure"]
    list_filter = ["state", "destination"]


@admin.register(models.Pulse)
class PulseAdmin(ReadOnly):
    list_display = ["name", "at"]


@admin.register(models.TrafficSample)
class TrafficSampleAdmin(ReadOnly):
    list_display = ["at"]


@admin.register(models.Pin)
class PinAdmin(ReadOnly):
    list_display = ["key", "side", "pinned_by", "pinned_at", "reason"]
    search_fields = ["key", "pinned_by", "reason"]


@admin.register(models.PhaseConfiguration)
class PhaseConfigurationAdmin(ReadOnly):
    list_display = ["slug", "revision", "changed", "changed_by", "changed_at"]
    search_fields = ["slug", "changed_by"]


@admin.register(models.Ramp)
class RampAdmin(ReadOnly):
    list_display = ["to_phase", "state", "reached", "requested_by", "begun_at", "ended_because"]
    search_fields = ["to_phase", "requested_by", "reason"]


@admin.register(models.Proposal)
class ProposalAdmin(ReadOnly):
    list_display = ["kind", "to_phase", "state", "proposed_by", "confirmed_by", "ended_because"]
    search_fields = ["proposed_by", "confirmed_by", "reason"]


@admin.register(models.FreezeWindow)
class FreezeWindowAdmin(ReadOnly):
    list_display = ["reason", "site", "starts_at", "ends_at", "daily_at", "made_by", "lifted_at"]
    search_fields = ["reason", "site", "made_by"]


@admin.register(models.HookAnswer)
class HookAnswerAdmin(ReadOnly):
    list_display = ["name", "moment", "verdict", "sentence", "seconds", "at"]
    search_fields = ["name", "sentence"]


@admin.register(models.WatchRule)
class WatchRuleAdmin(ReadOnly):
    list_display = ["name", "mode", "changed_by", "changed_at", "reason"]


@admin.register(models.AutomationSwitch)
class AutomationSwitchAdmin(ReadOnly):
    list_display = ["at", "is_on", "by", "reason"]


@admin.register(models.WatchFinding)
class WatchFindingAdmin(ReadOnly):
    list_display = ["opened_at", "rule", "mode", "action", "looks", "sentence"]
    search_fields = ["rule", "sentence"]


@admin.register(models.Rehearsal)
class RehearsalAdmin(ReadOnly):
    list_display = ["started_at", "robot_id", "way", "state", "back_seconds", "failure"]
    search_fields = ["robot_id", "failure"]


@admin.register(models.Restore)
class RestoreAdmin(ReadOnly):
    list_display = ["requested_at", "source", "until", "state", "asked_by", "reason"]
    search_fields = ["asked_by", "reason"]


@admin.register(models.CheckResult)
class CheckResultAdmin(ReadOnly):
    list_display = ["name", "verdict", "sentence", "at", "seconds", "asked_by"]
    search_fields = ["name", "sentence"]
    list_filter = ["verdict", "name"]


@admin.register(models.SignOff)
class SignOffAdmin(ReadOnly):
    list_display = ["subject", "role", "person", "comment", "signed_at", "withdrawn_at"]
    search_fields = ["subject", "person__username", "comment"]
    list_filter = ["role"]


@admin.register(models.Backup)
class BackupAdmin(ReadOnly):
    list_display = ["id", "kind", "state", "reason", "begun_at", "verified_at", "size_bytes", "failure"]
    search_fields = ["reason", "failure"]
    list_filter = ["kind", "state"]


class Entered(admin.ModelAdmin):
    """Rows that are changed here as on the page of contacts: by the same use case, with an entry in the audit log."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change contacts."""
        return bool(request.user.has_perm("migration.change_contacts"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change contacts."""
        return bool(request.user.has_perm("migration.change_contacts"))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change contacts."""
        return bool(request.user.has_perm("migration.change_contacts"))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """By the use case."""
        changing.put(obj, form.cleaned_data, actor=Actor.of(request.user))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """By the use case."""
        changing.remove(obj, actor=Actor.of(request.user))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        """Each by the use case."""
        for row in queryset:
            changing.remove(row, actor=Actor.of(request.user))


@admin.register(models.Contact)
class ContactAdmin(Entered):
    list_display = ["name", "duty", "is_backup", "telephone", "email", "login"]
    search_fields = ["name", "email", "telephone"]
    list_filter = ["duty", "is_backup"]
    exclude = ["changed_at"]


@admin.register(models.Channel)
class ChannelAdmin(Entered):
    list_display = ["purpose", "name", "address"]
    exclude = ["changed_at"]


@admin.register(models.RotaShift)
class RotaShiftAdmin(Entered):
    list_display = ["contact", "starts_at", "ends_at"]


@admin.register(models.EscalationStep)
class EscalationStepAdmin(Entered):
    list_display = ["after_minutes", "duty"]
