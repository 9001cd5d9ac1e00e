"""What callers may send, and how rows are answered."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from heartbeat.api.serializers import Text
from migration.models import Rollback, TrafficShift, Vote
from migration.rules.phases import PHASES
from migration.rules.voting import Choice, Role


@extend_schema_field({"type": "string", "maxLength": 2000, "pattern": r"\S"})
class Reason(Text):
    """A reason that says something; it goes into the audit log."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_length=2000,
            trim_whitespace=True,
            error_messages={"blank": "say why, in a few words", "required": "say why, in a few words"},
            **options,
        )


class AdvanceRequest(serializers.Serializer):
    """Ask for the next phase."""

    reason = Text(max_length=2000, required=False, allow_blank=True, default="")


class RollbackRequest(serializers.Serializer):
    """Roll back to the phase before, to an earlier phase, or in an emergency."""

    target = serializers.ChoiceField(
        choices=["previous", "emergency", "data_corruption", *(phase.slug for phase in PHASES)], default="previous"
    )
    reason = Reason()
    leaving = serializers.ChoiceField(choices=[phase.slug for phase in PHASES], required=False)


class VoteRequest(serializers.Serializer):
    """Vote on leaving the current phase."""

    choice = serializers.ChoiceField(choices=[choice.value for choice in Choice])
    comment = Text(max_length=2000, required=False, allow_blank=True, default="")
    role = serializers.ChoiceField(
        choices=[role.value for role in Role],
        required=False,
        allow_blank=True,
        default="",
        help_text="another role, whose named backup the caller is",
    )


class ReasonRequest(serializers.Serializer):
    """For what needs nothing but a reason."""

    reason = Reason()


class ShiftSerializer(serializers.ModelSerializer):
    """A shift with its measured times."""

    acknowledged_seconds = serializers.FloatField(read_only=True, allow_null=True)
    observed_seconds = serializers.FloatField(read_only=True, allow_null=True)
    waits_for = serializers.CharField(read_only=True)
    words = serializers.CharField(read_only=True)

    class Meta:
        model = TrafficShift
        fields = [
            "id",
            "kind",
            "words",
            "from_phase",
            "to_phase",
            "from_percent",
            "to_percent",
            "state",
            "waits_for",
            "requested_by",
            "reason",
            "requested_at",
            "deadline_at",
            "applying_at",
            "acknowledged_at",
            "observed_at",
            "acknowledged_seconds",
            "observed_seconds",
            "observed_percent",
            "acknowledgements",
            "failure",
        ]


class RollbackSerializer(serializers.ModelSerializer):
    """A rollback with its measured time beside its budget."""

    class Meta:
        model = Rollback
        exclude = ["uid"]


class VoteSerializer(serializers.ModelSerializer):
    """A vote as it was cast."""

    person = serializers.CharField(source="person.username", read_only=True)

    class Meta:
        model = Vote
        fields = ["id", "run", "person", "role", "choice", "comment", "cast_at", "as_backup", "void_reason"]
