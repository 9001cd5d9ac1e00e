"""Ports and times of robots, to be edited; what was concluded, to be read. Signals and samples are too many."""

from django.contrib import admin

from heartbeat.read_only import ReadOnly
from teleop.models import (
    FollowerCursor,
    LegacyClaim,
    Participation,
    RobotLayout,
    RobotOperation,
    Session,
    SessionEvent,
    StopRequest,
)


@admin.register(RobotLayout)
class RobotLayoutAdmin(admin.ModelAdmin):
    list_display = ("kind", "site", "command_ports", "observation_ports", "command_timeout_ms")


@admin.register(RobotOperation)
class RobotOperationAdmin(ReadOnly):
    list_display = ("robot_id", "state", "since", "driver", "operators", "confidence", "because")
    list_filter = ("state", "driver")
    search_fields = ("robot_id", "operators")
    # Its key is bytes, which no link can carry.
    list_display_links = None


@admin.register(Session)
class SessionAdmin(ReadOnly):
    list_display = ("robot_id", "state", "driver", "operators", "began_at", "ended_at", "ending")
    list_filter = ("state", "driver")
    search_fields = ("robot_id", "operators")
    exclude = ("robot_key",)


@admin.register(SessionEvent)
class SessionEventAdmin(ReadOnly):
    list_display = ("at", "session", "step", "state", "because", "operator")
    list_filter = ("step",)
    search_fields = ("session__robot_id", "operator", "because")
    exclude = ("robot_key",)
    show_full_result_count = False


@admin.register(Participation)
class ParticipationAdmin(ReadOnly):
    list_display = ("session", "operator", "from_at", "until_at")
    search_fields = ("operator", "session__robot_id")


@admin.register(StopRequest)
class StopRequestAdmin(ReadOnly):
    list_display = ("robot_id", "state", "asked_by", "asked_at", "answered_at", "reason", "detail")
    list_filter = ("state",)
    search_fields = ("robot_id", "asked_by", "reason")
    exclude = ("robot_key",)


@admin.register(FollowerCursor)
class FollowerCursorAdmin(ReadOnly):
    list_display = ("log_at", "signal_id", "updated_at")


@admin.register(LegacyClaim)
class LegacyClaimAdmin(ReadOnly):
    list_display = ("robot_id", "operated", "field", "since", "read_at")
    list_filter = ("operated",)
    search_fields = ("robot_id",)
    # Its key is bytes, which no link can carry.
    list_display_links = None
