"""Every model in the admin; what is history or derived can only be read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from heartbeat.models import Deployment, DeploymentsRevision, Heartbeat, LegacyRow, Package, Robot


class ReadOnly(admin.ModelAdmin):
    """Shows, changes nothing."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False


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


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly):
    list_display = ["received_at", "robot_id", "call", "role", "side", "status", "version", "request_id"]
    list_filter = ["call", "role", "side", "protocol"]
    search_fields = ["robot_id", "request_id"]
    exclude = ["robot_key"]
    # The log is large: counting it for every page would cost more than the page.
    show_full_result_count = False


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
