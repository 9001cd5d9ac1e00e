"""Sync and what stands beside it in Django's admin: lists to search, orders by the same use cases as on the page."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from heartbeat.read_only import ReadOnly
from migration import models
from migration.actors import Actor
from migration.errors import Refused
from migration.syncing import fleet, orders


@admin.register(models.QuarantinedRow)
class QuarantinedRowAdmin(ReadOnly):
    list_display = ["source", "name", "reason", "first_at", "tried_at", "tries", "settled_at", "settled_because"]
    list_filter = ["source", ("settled_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "reason"]


class MatchForm(forms.ModelForm):
    """Which robot an address is, and how somebody knows."""

    address = forms.GenericIPAddressField()
    robot_id = forms.CharField(max_length=128)
    reason = forms.CharField(max_length=500)

    class Meta:
        model = models.MatchEntry
        fields = ["address", "robot_id", "reason"]

    def validate_unique(self) -> None:
        """An address that is known is matched anew."""


@admin.register(models.MatchEntry)
class MatchEntryAdmin(ReadOnly):
    """Shows the match table, and matches an address by hand as the page of sync does."""

    list_display = ["address", "robot_id", "how", "reason", "matched_by", "hostname", "kind", "discovered_at"]
    list_filter = ["how", "kind"]
    search_fields = ["address", "robot_id", "hostname"]
    form = MatchForm
    refused_to = "admin:migration_matchentry_changelist"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may match addresses."""
        return bool(request.user.has_perm("migration.sync_rows"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What is asked of a person; an entry shows all it has."""
        return ["address", "robot_id", "reason"] if obj is None else [f.name for f in self.opts.fields if f.editable]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """By the use case."""
        asked = form.cleaned_data
        actor = Actor.of(request.user)
        obj.pk = fleet.match_by_hand(asked["address"], asked["robot_id"], actor=actor, reason=asked["reason"]).pk
        obj.refresh_from_db()

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Say why an address is not matched, such as a robot that nobody knows."""
        try:
            return super().add_view(request, form_url, extra_context)
        except Refused as refused:
            self.message_user(request, str(refused), messages.ERROR)
            return redirect(self.refused_to)


@admin.register(models.SyncRun)
class SyncRunAdmin(ReadOnly):
    """Full syncs; adding one asks for it."""

    list_display = ["id", "state", "asked_by", "started_at", "ended_at", "rows", "done", "quarantined", "failure"]
    list_filter = ["state"]
    search_fields = ["asked_by", "failure"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may start sync."""
        return bool(request.user.has_perm("migration.sync_rows"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Nothing is asked of a person."""
        return [] if obj is None else [f.name for f in self.opts.fields if f.editable and f.name != "cursor"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """By the use case; a second request joins the one that runs."""
        obj.pk = orders.full_sync(Actor.of(request.user)).pk
        obj.refresh_from_db()


@admin.register(models.SyncState)
class SyncStateAdmin(ReadOnly):
    list_display = ["at", "contract", "legacy_rows", "pending_forward", "pending_back", "throttled_by"]


@admin.register(models.SyncTuning)
class SyncTuningAdmin(ReadOnly):
    list_display = ["interval_seconds", "calls_per_second", "batch_size", "paused", "changed_by", "changed_at"]


@admin.register(models.SyncedRow)
class SyncedRowAdmin(ReadOnly):
    list_display = ["robot_id", "at", "address", "taken_over_at"]
    search_fields = ["robot_id", "address"]
    exclude = ["key", "robot_key", "digest"]


@admin.register(models.HistoryGap)
class HistoryGapAdmin(ReadOnly):
    list_display = ["of", "robot_id", "began_at", "ended_at", "fills"]
    list_filter = ["of"]
    search_fields = ["robot_id"]
    exclude = ["key"]


@admin.register(models.Replayed)
class ReplayedAdmin(ReadOnly):
    list_display = ["robot_id", "at", "sent_at", "acknowledged_at"]
    search_fields = ["robot_id"]
    exclude = ["key"]


@admin.register(models.DeploymentMapping)
class DeploymentMappingAdmin(ReadOnly):
    list_display = ["new_id", "target_id", "legacy_id", "asked_at", "mapped_at"]
    search_fields = ["new_id", "target_id", "legacy_id"]


@admin.register(models.HandOver)
class HandOverAdmin(ReadOnly):
    list_display = ["new_id", "attempts", "tried_at", "failure", "done_at"]
    search_fields = ["new_id"]


@admin.register(models.Cohort)
class CohortAdmin(ReadOnly):
    list_display = ["name", "ramp", "robots", "frozen_at"]
    search_fields = ["name", "members"]


@admin.register(models.Presence)
class PresenceAdmin(ReadOnly):
    list_display = ["person", "at"]
    search_fields = ["person__username"]


@admin.register(models.Position)
class PositionAdmin(ReadOnly):
    list_display = ["name", "last", "begin"]
    search_fields = ["name"]


@admin.register(models.SideBySide)
class SideBySideAdmin(ReadOnly):
    """What both systems learnt, and how long each took."""

    list_display = ("of", "robot_id", "state", "began_at", "new_seconds", "legacy_seconds")
    list_filter = ("of", "state")
