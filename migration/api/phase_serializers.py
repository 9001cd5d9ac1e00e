"""What callers of the way forward may send, and how its rows are answered."""

import re
from datetime import time
from typing import Any
from zoneinfo import available_timezones

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from heartbeat.api.queries import Query
from heartbeat.api.serializers import Text
from migration.api.serializers import Reason
from migration.models import FreezeWindow, Pin, Proposal, Ramp
from migration.rules.phases import PHASES

SLUGS = [phase.slug for phase in PHASES]


class ProposalSerializer(serializers.ModelSerializer):
    """What waits for a second person."""

    waits_for = serializers.CharField(read_only=True)

    class Meta:
        model = Proposal
        exclude = ["judged"]


class RampSerializer(serializers.ModelSerializer):
    """A way into a phase."""

    class Meta:
        model = Ramp
        exclude: list[str] = []


_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"


@extend_schema_field({"type": "string", "pattern": _TIME})
class TimeOfDay(serializers.TimeField):
    """A time of a clock on a wall. DRF's own takes an offset, and forgets it."""

    def to_internal_value(self, value: Any) -> time:
        """The time, or a refusal."""
        if not isinstance(value, str) or not re.fullmatch(_TIME, value, re.ASCII):
            raise ValidationError("give a time such as 14:00, without an offset: `time_zone` says of where")
        told: time = super().to_internal_value(value)
        return told


class FreezeSerializer(serializers.ModelSerializer):
    """A freeze window."""

    daily_at = TimeOfDay(read_only=True, allow_null=True, format="%H:%M:%S")

    class Meta:
        model = FreezeWindow
        exclude: list[str] = []


class PinSerializer(serializers.ModelSerializer):
    """A robot that stays on one side."""

    class Meta:
        model = Pin
        exclude = ["id"]


class DryRunQuery(Query):
    """To which phase."""

    to = serializers.ChoiceField(choices=SLUGS)


class SettingsRequest(serializers.Serializer):
    """Settings of one phase to change; null takes one back to its default."""

    changes = serializers.DictField(child=serializers.JSONField(allow_null=True), allow_empty=False)
    reason = Reason()


class PinRequest(serializers.Serializer):
    """Pin one robot to a side; null unpins it."""

    robot_id = Text(max_length=128)
    side = serializers.ChoiceField(choices=["new", "legacy"], allow_null=True)
    reason = Reason()


class FreezeRequest(serializers.Serializer):
    """Once, from `starts_at` (now without one) to `ends_at`; or daily around `daily_at`, a time of `time_zone`."""

    reason = Reason()
    site = Text(max_length=200, required=False, default="", allow_blank=True)
    starts_at = serializers.DateTimeField(required=False)
    ends_at = serializers.DateTimeField(required=False)
    daily_at = TimeOfDay(required=False)
    before_minutes = serializers.IntegerField(min_value=0, max_value=720, required=False, default=30)
    after_minutes = serializers.IntegerField(min_value=0, max_value=720, required=False, default=30)
    time_zone = Text(max_length=64, required=False, default="UTC")

    def validate_time_zone(self, value: str) -> str:
        """One that the time zone database knows."""
        if value not in available_timezones():
            raise ValidationError("nobody knows this time zone; give a name such as Europe/Berlin")
        return value
