"""Every model but the log and its minutes, whose keys have two columns; what is history or derived is only read."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from heartbeat.access import enrolment_tokens, legacy_path, operator_tokens, robot_tokens
from heartbeat.models import (
    Boot,
    Deafness,
    Deployment,
    DeploymentsRevision,
    EnrolmentToken,
    Hearing,
    Incident,
    IncidentMember,
    Lease,
    LegacyClosure,
    LegacyRow,
    LivenessEvent,
    MaintenanceWindow,
    Notice,
    OperatorToken,
    Package,
    Profile,
    Relayed,
    RelayState,
    Robot,
    RobotLiveness,
    RobotToken,
    RolledUpDay,
    Spelling,
)
from heartbeat.read_only import ReadOnly


@admin.register(Robot)
class RobotAdmin(ReadOnly):
    list_display = ["robot_id", "kind", "site", "status", "version", "last_side", "last_role", "last_seen_at"]
    list_filter = ["kind", "last_side", "last_role", "protocol"]
    search_fields = ["robot_id"]
    exclude = ["key"]


@admin.register(LegacyRow)
class LegacyRowAdmin(ReadOnly):
    list_display = ["robot_id", "status", "version", "status_at", "check_at", "current_version", "group"]
    search_fields = ["robot_id"]
    exclude = ["key"]


@admin.register(Spelling)
class SpellingAdmin(ReadOnly):
    list_display = ["robot_id", "first_at"]
    search_fields = ["robot_id"]
    exclude = ["key", "robot_key"]


@admin.register(Boot)
class BootAdmin(ReadOnly):
    list_display = ["boot_id", "first_at"]
    search_fields = ["boot_id"]
    exclude = ["robot_key"]


@admin.register(Profile)
class ProfileAdmin(ReadOnly):
    list_display = ["id", "document"]
    exclude = ["digest"]


@admin.register(Deployment)
class DeploymentAdmin(ReadOnly):
    list_display = ["id", "version", "target_group", "status", "timestamp", "is_rollback"]
    list_filter = ["status", "target_group", "is_rollback"]
    search_fields = ["id", "version"]


@admin.register(Package)
class PackageAdmin(ReadOnly):
    list_display = ["sha256"]
    exclude = ["content"]


@admin.register(DeploymentsRevision)
class DeploymentsRevisionAdmin(ReadOnly):
    list_display = ["revision"]


class TokenAdmin(ReadOnly):
    """Tokens are made by the API and by commands, which show them once; here they are looked at and revoked."""

    list_filter = ["revoked_at", "expires_at"]
    exclude = ["digest"]
    actions = ["revoke"]
    #: the permission that revoking needs, and the use case
    revoking: str
    revoke_one: Any

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Make the chosen tokens worthless."""
        for token in queryset:
            self.revoke_one(token, by=request.user.get_username(), at=timezone.now())
        self.message_user(request, f"{len(queryset)} revoked")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whether this person may."""
        return request.user.has_perm(self.revoking)


@admin.register(RobotToken)
class RobotTokenAdmin(TokenAdmin):
    list_display = ["prefix", "robot_id", "created_at", "created_by", "expires_at", "revoked_at", "last_used_at"]
    search_fields = ["prefix", "robot_id"]
    exclude = ["digest", "robot_key"]
    revoking = "heartbeat.issue_token"
    revoke_one = staticmethod(robot_tokens.revoke)


@admin.register(EnrolmentToken)
class EnrolmentTokenAdmin(TokenAdmin):
    list_display = ["prefix", "note", "uses_left", "uses_granted", "kind", "site", "tags", "expires_at", "revoked_at"]
    search_fields = ["prefix", "note"]
    revoking = "heartbeat.issue_enrolment_token"
    revoke_one = staticmethod(enrolment_tokens.revoke)


@admin.register(OperatorToken)
class OperatorTokenAdmin(TokenAdmin):
    list_display = ["prefix", "user", "name", "scopes", "expires_at", "revoked_at", "last_used_at"]
    search_fields = ["prefix", "name", "user__username"]
    revoking = "heartbeat.manage_operator_tokens"
    revoke_one = staticmethod(operator_tokens.revoke)


@admin.register(LegacyClosure)
class LegacyClosureAdmin(ReadOnly):
    list_display = ["id", "kind", "site", "tag", "reason", "closed_at", "closed_by", "opened_at", "opened_by"]
    actions = ["open_again"]

    @admin.action(description="Open the legacy path again", permissions=["open"])
    def open_again(self, request: HttpRequest, queryset: QuerySet[LegacyClosure]) -> None:
        """Take the chosen cohorts' legacy calls again."""
        for closure in queryset:
            legacy_path.open_again(closure, by=request.user.get_username(), at=timezone.now())
        self.message_user(request, f"{len(queryset)} opened")

    def has_open_permission(self, request: HttpRequest) -> bool:
        """Whether this person may."""
        return request.user.has_perm("heartbeat.close_legacy_path")


@admin.register(RobotLiveness)
class RobotLivenessAdmin(ReadOnly):
    list_display = ["robot_id", "state", "since", "told", "incident", "falls", "flapping"]
    list_filter = ["state", "flapping"]
    search_fields = ["robot_id"]
    # Its key is bytes, which no link can carry.
    list_display_links = None


@admin.register(LivenessEvent)
class LivenessEventAdmin(ReadOnly):
    list_display = ["robot_id", "number", "from_state", "to_state", "became_at", "noticed_at", "incident", "damped"]
    list_filter = ["to_state", "damped"]
    search_fields = ["robot_id"]
    exclude = ["robot_key"]
    show_full_result_count = False


@admin.register(Incident)
class IncidentAdmin(ReadOnly):
    list_display = ["id", "site", "level", "robots", "opened_at", "closed_at"]
    list_filter = ["level"]
    search_fields = ["site"]


@admin.register(Notice)
class NoticeAdmin(ReadOnly):
    list_display = ["created_at", "route", "text", "sent_at"]
    list_filter = ["route"]


@admin.register(MaintenanceWindow)
class MaintenanceWindowAdmin(ReadOnly):
    list_display = ["id", "scope", "value", "starts_at", "ends_at", "reason", "created_by", "ended_by"]
    list_filter = ["scope"]


@admin.register(Lease)
class LeaseAdmin(ReadOnly):
    list_display = ["name", "holder", "term", "renewed_at", "until"]


@admin.register(Deafness)
class DeafnessAdmin(ReadOnly):
    list_display = ["began_at", "ended_at"]


@admin.register(Hearing)
class HearingAdmin(ReadOnly):
    list_display = ["name", "until"]


@admin.register(IncidentMember)
class IncidentMemberAdmin(ReadOnly):
    list_display = ["incident", "robot_id", "level", "joined_at", "left_at", "falls"]
    list_filter = ["level"]
    search_fields = ["robot_id"]
    exclude = ["robot_key"]


@admin.register(RelayState)
class RelayStateAdmin(ReadOnly):
    list_display = ["updated_at", "accepted", "relayed", "coalesced", "too_old", "refused", "failed", "lag_seconds"]


@admin.register(Relayed)
class RelayedAdmin(ReadOnly):
    list_display = ["robot_id", "at", "sent_at", "acknowledged_at"]
    search_fields = ["robot_id"]
    exclude = ["key"]


@admin.register(RolledUpDay)
class RolledUpDayAdmin(ReadOnly):
    list_display = ["day", "upto", "rows"]
