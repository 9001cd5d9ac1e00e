"""What the REST API says about liveness, and what is said to it of maintenance windows."""

from typing import Any

from rest_framework import serializers

from heartbeat.api.serializers import Tag, Text
from heartbeat.models import Incident, IncidentMember, LivenessEvent, MaintenanceWindow, Notice
from heartbeat.rules.identity import LONGEST_BUCKETED_ID, why_no_bucket
from heartbeat.rules.liveness import Liveness

STATES = [state.value for state in Liveness]
LEVELS = [Liveness.LATE.value, Liveness.OFFLINE.value]
MOST_ROBOTS = 1_000


class EventSerializer(serializers.ModelSerializer):
    """One change of a robot's liveness."""

    robot_id = serializers.CharField()
    from_state = serializers.ChoiceField(STATES)
    to_state = serializers.ChoiceField(STATES)
    incident = serializers.IntegerField(source="incident_id", allow_null=True, help_text="null: nobody was told")
    window = serializers.IntegerField(source="window_id", allow_null=True, help_text="the planned silence it fell into")

    class Meta:
        model = LivenessEvent
        fields = [
            "robot_id",
            "number",
            "from_state",
            "to_state",
            "became_at",
            "noticed_at",
            "incident",
            "window",
            "damped",
            "reason",
        ]
        read_only_fields = fields


class IncidentSerializer(serializers.ModelSerializer):
    """Robots of one site that fell silent together."""

    level = serializers.ChoiceField(LEVELS, help_text="the worst it came to")
    robots = serializers.IntegerField(help_text="how many were ever in it")

    class Meta:
        model = Incident
        fields = ["id", "site", "level", "opened_at", "last_joined_at", "closed_at", "robots"]
        read_only_fields = fields


class MemberSerializer(serializers.ModelSerializer):
    """A robot in an incident."""

    level = serializers.ChoiceField(LEVELS)

    class Meta:
        model = IncidentMember
        fields = ["robot_id", "level", "joined_at", "left_at", "falls"]
        read_only_fields = fields


class NoticeSerializer(serializers.ModelSerializer):
    """What was told of an incident."""

    route = serializers.ChoiceField([*LEVELS, "recovered"])

    class Meta:
        model = Notice
        fields = ["route", "text", "created_at", "sent_at"]
        read_only_fields = fields


class IncidentDetailSerializer(IncidentSerializer):
    """One incident with its robots and what was told of it."""

    members = MemberSerializer(
        source="first_members", many=True, help_text="at most 1,000, in the order in which they joined"
    )
    notices = NoticeSerializer(many=True)

    class Meta(IncidentSerializer.Meta):
        fields = [*IncidentSerializer.Meta.fields, "members", "notices"]
        read_only_fields = fields


class WindowSerializer(serializers.ModelSerializer):
    """A planned silence. Without `ends_at` it is a pause, which lasts until somebody ends it."""

    scope = serializers.ChoiceField(MaintenanceWindow.Scope.choices)
    robots = serializers.ListField(child=serializers.CharField())
    in_force = serializers.BooleanField(help_text="whether it holds now")

    class Meta:
        model = MaintenanceWindow
        fields = [
            "id",
            "scope",
            "value",
            "robots",
            "starts_at",
            "ends_at",
            "in_force",
            "reason",
            "created_by",
            "created_at",
            "ended_by",
        ]
        read_only_fields = fields


class _OnlyKnown(serializers.Serializer):
    """A name that is no member is refused, or a typo would look done."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """The members that are given."""
        if isinstance(data, dict) and (unknown := [name for name in data if name not in self.fields]):
            reason = f"is not a member; there are {', '.join(self.fields)}"
            raise serializers.ValidationError({str(name): [reason] for name in unknown})
        given: dict[str, Any] = super().to_internal_value(data)
        return given


def _reason(**options: Any) -> Text:
    return Text(max_length=500, help_text="why, for whoever wonders about the silence", **options)


class RobotId(Text):
    """The id of a robot, in any case."""

    def to_internal_value(self, data: Any) -> str:
        """The id, or why it can be none."""
        robot_id = super().to_internal_value(data)
        if reason := why_no_bucket(robot_id):
            raise serializers.ValidationError(reason)
        return robot_id


class WindowPlan(_OnlyKnown):
    """A silence to plan. One of `site`, `kind`, `tag` or `robots` says whose; none of them: everybody's."""

    site = Text(max_length=64, required=False)
    kind = serializers.ChoiceField(["lekiwi", "xle", "unknown"], required=False)
    tag = Tag(required=False)
    robots = serializers.ListField(
        child=RobotId(max_length=LONGEST_BUCKETED_ID, trim_whitespace=False),
        required=False,
        min_length=1,
        max_length=MOST_ROBOTS,
        help_text="ids, in any case",
    )
    starts_at = serializers.DateTimeField(required=False, help_text="default: now")
    ends_at = serializers.DateTimeField(required=False, allow_null=True, help_text="null: until somebody ends it")
    reason = _reason()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """At most one of what says whose."""
        named = [name for name in ("site", "kind", "tag", "robots") if name in attrs]
        if len(named) > 1:
            raise serializers.ValidationError({name: ["only one of them says whose silence it is"] for name in named})
        return attrs


class WindowChange(_OnlyKnown):
    """What may be changed of a planned silence. What is left out stays as it is."""

    reason = _reason(required=False)
    ends_at = serializers.DateTimeField(required=False, help_text="another end; to end it now, end it")
