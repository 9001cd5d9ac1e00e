"""`/robots/{id}/heartbeats`: a robot's history as it was acknowledged.

The only place of the API that knows the log's columns.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from heartbeat.api.finding import robot_or_404
from heartbeat.api.listing import Listing
from heartbeat.api.paging import Keyset, Order
from heartbeat.api.queries import Moment, Query, several
from heartbeat.api.versions import RowVersion
from heartbeat.models import Heartbeat
from heartbeat.models.heartbeat import Call


class HeartbeatSerializer(serializers.ModelSerializer):
    """One acknowledged call."""

    protocol = serializers.CharField(help_text="legacy or v2")
    boot_id = serializers.CharField(source="boot.boot_id", default=None, allow_null=True)
    at = serializers.SerializerMethodField(help_text="when it was so: before it was received, if it came late")
    version = serializers.SerializerMethodField()
    deployment_id = serializers.SerializerMethodField()
    health = serializers.JSONField(allow_null=True, help_text="as a legacy heartbeat said it")
    payload = serializers.SerializerMethodField(help_text="as a v2 heartbeat said it")

    class Meta:
        model = Heartbeat
        fields = [
            "request_id",
            "received_at",
            "at",
            "call",
            "protocol",
            "role",
            "side",
            "status",
            "version",
            "deployment_id",
            "message",
            "health",
            "current_version",
            "group",
            "boot_id",
            "sequence",
            "sent_at",
            "payload",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.DateTimeField())
    def get_at(self, beat: Heartbeat) -> str:
        """The time, or that of the arrival."""
        return serializers.DateTimeField().to_representation(beat.at or beat.received_at)

    def get_version(self, beat: Heartbeat) -> str | None:
        """What a legacy call said, or a v2 heartbeat's profile."""
        return beat.version if beat.profile is None else beat.profile.document.get("version")

    def get_deployment_id(self, beat: Heartbeat) -> str | None:
        """What a legacy call said, or a v2 heartbeat's profile."""
        return beat.deployment_id if beat.profile is None else beat.profile.document.get("deployment_id")

    @extend_schema_field(serializers.JSONField(allow_null=True))
    def get_payload(self, beat: Heartbeat) -> dict[str, Any] | None:
        """The heartbeat put together again."""
        return beat.as_reported()


class ByArrival(Keyset):
    """In the order of arrival. No two heartbeats arrive at the same microsecond, and later ones commit later."""

    orders = {"received_at": Order("received_at", datetime)}
    default = "-received_at"
    unique = Order("received_at", datetime)
    limit = 100
    highest_limit = 10_000


class HeartbeatQuery(Query):
    """A span of time, by arrival."""

    call = several(serializers.ChoiceField(Call.values))

    def get_fields(self) -> dict[str, serializers.Field]:
        """`from` is no name in Python."""
        until = Moment(required=False, help_text="Received before this time")
        return {
            "from": Moment(required=False, help_text="Received at this time or later"),
            "to": until,
            **super().get_fields(),
        }


class Heartbeats(Listing):
    """The heartbeats and update checks of a robot, newest first."""

    queryset = Heartbeat.objects.select_related("spelling", "boot", "profile")
    serializer_class = HeartbeatSerializer
    pagination_class = ByArrival
    query_class = HeartbeatQuery

    def narrowed(self, rows: Any, asked: Mapping[str, Any]) -> QuerySet[Any]:
        """Those of the robot, in the span."""
        rows = rows.of_robot(robot_or_404(self.kwargs["robot_id"]).key)
        if "from" in asked:
            rows = rows.filter(received_at__gte=asked["from"])
        if "to" in asked:
            rows = rows.filter(received_at__lt=asked["to"])
        if "call" in asked:
            rows = rows.filter(call__in=asked["call"])
        return rows

    def versions(self, rows: QuerySet[Any]) -> Any:
        """By time and version: a role may be raised later."""
        return list(rows.values_list("received_at", RowVersion("received_at")))
