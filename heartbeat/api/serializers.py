"""What the REST API says about robots, and what may be set of them."""

import math
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from heartbeat.api.parts import parts
from heartbeat.models import Kind, Protocol, Robot, Role, Side
from heartbeat.reports import latest_report
from heartbeat.rules.liveness import Liveness
from heartbeat.rules.tags import LONGEST_TAG, MOST_TAGS, PATTERN, in_order, why_no_tag

#: a longer silence than a day is an outage, whatever somebody expects
LONGEST_SECONDS = 86_400.0
OWNERS = [Side.NEW.value, Side.LEGACY.value]


class OrNull(serializers.ChoiceField):
    """One of some words; null while the robot was never heard."""

    def __init__(self, choices: Any, **options: Any) -> None:
        super().__init__(choices, read_only=True, allow_null=True, **options)

    def to_representation(self, value: str) -> str | None:
        """The word, null for none."""
        return value or None


class Text(serializers.CharField):
    """A text. DRF's own takes numbers, too."""

    def to_internal_value(self, data: Any) -> str:
        """The text, or a refusal."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class TextDescribed(OpenApiSerializerFieldExtension):
    """In the OpenAPI document: a text that may not be blank says something besides spaces."""

    target_class = Text

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        """A string with its length."""
        told: dict[str, Any] = {"type": "string"}
        if self.target.max_length is not None:
            told["maxLength"] = self.target.max_length
        if not self.target.allow_blank:
            told["pattern"] = r"\S"
        return told


@extend_schema_field({"type": "string", "maxLength": LONGEST_TAG, "pattern": PATTERN})
class Tag(Text):
    """One tag."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=LONGEST_TAG, trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        """The tag, or why it is none."""
        tag = super().to_internal_value(data)
        if reason := why_no_tag(tag):
            raise serializers.ValidationError(reason)
        return tag


class Tags(serializers.ListField):
    """The tags of a robot: a set, so the order they are given in does not matter."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=Tag(), max_length=MOST_TAGS, **options)

    def to_internal_value(self, data: Any) -> list[str]:
        """The tags as they are kept."""
        return in_order(super().to_internal_value(data))


class RobotSerializer(serializers.ModelSerializer):
    """A robot in a list. Times are UTC; `owner` is the side that the robots' door named at its latest call.

    The rows come from `heartbeat.fleet.with_liveness`.
    """

    id = serializers.CharField(source="robot_id", help_text="As last spelled; any spelling finds it")
    kind = serializers.ChoiceField(Kind.choices, read_only=True)
    liveness = serializers.ChoiceField([state.value for state in Liveness], read_only=True)
    owner = OrNull(OWNERS, source="last_side", help_text="null: its latest call did not come through the robots' door")
    last_role = OrNull(Role.values, help_text="what `new` was for its latest call")
    protocol = OrNull(Protocol.values, help_text="of its latest call")
    last_seen = serializers.DateTimeField(source="last_seen_at", allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Robot
        fields = [
            "id",
            "kind",
            "site",
            "tags",
            "status",
            "liveness",
            "owner",
            "last_role",
            "last_seen",
            "version",
            "protocol",
            "bucket",
            "expected_interval_seconds",
            "grace_seconds",
        ]
        read_only_fields = fields

    def get_fields(self) -> dict[str, serializers.Field]:
        """The fields, and what other apps know about the robot."""
        return {**super().get_fields(), **parts()}


class RobotDetailSerializer(RobotSerializer):
    """One robot with all that it last reported."""

    health = serializers.JSONField(allow_null=True, help_text="what its latest legacy heartbeat said of its services")
    reported = serializers.SerializerMethodField(help_text="its latest v2 heartbeat that came in time")

    class Meta(RobotSerializer.Meta):
        fields = [
            *RobotSerializer.Meta.fields,
            "enrolled_at",
            "first_seen_at",
            "last_status_at",
            "last_acknowledged_as_owner_at",
            "deployment_id",
            "message",
            "group",
            "firmware",
            "battery_percent",
            "interval_seconds",
            "clock_offset_seconds",
            "health",
            "reported",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.JSONField(allow_null=True))
    def get_reported(self, robot: Robot) -> dict[str, Any] | None:
        """The newest v2 heartbeat in the log."""
        return latest_report(robot)


class Seconds(serializers.FloatField):
    """A number of seconds; JSON's true and texts such as "nan" are none."""

    def to_internal_value(self, data: Any) -> float:
        """The number, or a refusal."""
        if isinstance(data, bool | str):
            self.fail("invalid")
        number = super().to_internal_value(data)
        if not math.isfinite(number):
            self.fail("invalid")
        return number


class RobotSettings(serializers.Serializer):
    """What an operator sets of a robot. What is left out stays; null takes a time back to what the robot says."""

    tags = Tags(required=False, help_text="lower-case words; the whole set")
    expected_interval_seconds = Seconds(
        min_value=0.1, max_value=LONGEST_SECONDS, required=False, allow_null=True, help_text="wins over the robot's own"
    )
    grace_seconds = Seconds(
        min_value=0, max_value=LONGEST_SECONDS, required=False, allow_null=True, help_text="longer, and not yet late"
    )

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """The settings that are given. A name that is none of them is refused, or a typo would look done."""
        if isinstance(data, dict) and (unknown := [name for name in data if name not in self.fields]):
            reason = f"is not a setting; there are {', '.join(self.fields)}"
            raise serializers.ValidationError({str(name): [reason] for name in unknown})
        given: dict[str, Any] = super().to_internal_value(data)
        return given


def _counts(help_text: str) -> serializers.DictField:
    return serializers.DictField(child=serializers.IntegerField(), help_text=help_text)


class FleetSummarySerializer(serializers.Serializer):
    """The fleet in numbers."""

    at = serializers.DateTimeField()
    total = serializers.IntegerField()
    by_kind = _counts("lekiwi, xle, unknown")
    by_status = _counts("as the robots report it")
    by_liveness = _counts("online, late, offline, never")
    by_owner = _counts("new, legacy, unmarked: the owner of the latest call, as the door said it")


class KnownSerializer(serializers.Serializer):
    """What one system knows."""

    rows = serializers.IntegerField(help_text="exact spellings")
    robots = serializers.IntegerField(help_text="spellings in any case are one robot")


class RobotCountSerializer(serializers.Serializer):
    """Both counts."""

    new = KnownSerializer()
    legacy = KnownSerializer(allow_null=True, help_text="null: legacy could not be asked")
    match = serializers.BooleanField(allow_null=True, help_text="whether the rows agree; null: unknown")
    reason = serializers.CharField(allow_blank=True, help_text="why they do not agree, or why that is not known")
