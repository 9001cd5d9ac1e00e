"""What the REST API says about robots and their heartbeats."""

from typing import Any

from rest_framework import serializers

from heartbeat.api.parts import parts_of
from heartbeat.fleet import liveness_of
from heartbeat.models import Heartbeat, Robot


class RobotSerializer(serializers.ModelSerializer):
    """A robot in a list. Times are UTC; `owner` is the side that the robots' door named at its latest call."""

    id = serializers.CharField(source="robot_id")
    liveness = serializers.SerializerMethodField()
    owner = serializers.SerializerMethodField()
    last_seen = serializers.DateTimeField(source="last_seen_at")

    class Meta:
        model = Robot
        fields = ["id", "kind", "site", "status", "liveness", "owner", "last_role", "last_seen", "version", "bucket"]

    def get_liveness(self, robot: Robot) -> str:
        """online, late or offline, judged at the time in the context."""
        return liveness_of(robot, self.context["now"]).value

    def get_owner(self, robot: Robot) -> str | None:
        """new, legacy, or null when no call came through the robots' door."""
        return robot.last_side or None

    def to_representation(self, robot: Robot) -> dict[str, Any]:
        """The fields, and what other apps know about the robot."""
        return {**super().to_representation(robot), **parts_of(robot)}


class RobotDetailSerializer(RobotSerializer):
    """One robot with all that it last reported."""

    health = serializers.JSONField()
    reported = serializers.JSONField(source="payload", help_text="its latest v2 heartbeat")

    class Meta(RobotSerializer.Meta):
        fields = [
            *RobotSerializer.Meta.fields,
            "first_seen_at",
            "last_status_at",
            "last_acknowledged_as_owner_at",
            "deployment_id",
            "message",
            "group",
            "protocol",
            "firmware",
            "battery_percent",
            "interval_seconds",
            "health",
            "reported",
        ]


class HeartbeatSerializer(serializers.ModelSerializer):
    """One acknowledged call."""

    health = serializers.JSONField()
    payload = serializers.JSONField()

    class Meta:
        model = Heartbeat
        fields = [
            "request_id",
            "received_at",
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
