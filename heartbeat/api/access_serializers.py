"""What the API says of tokens and closures, and what it may be asked. A token is answered once, when it is made."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from heartbeat.api.serializers import Tags
from heartbeat.models import EnrolmentToken, LegacyClosure, OperatorToken, RobotToken
from heartbeat.rules.kind import LEKIWI, XLE
from heartbeat.rules.scopes import SCOPES
from heartbeat.rules.tags import LONGEST_TAG, PATTERN

LONGEST_LIFE = timedelta(days=3660)
LONGEST_OPERATOR_LIFE = timedelta(days=366)
_LIFE = ["id", "prefix", "created_at", "created_by", "expires_at", "revoked_at", "revoked_by", "last_used_at"]


class Word(serializers.CharField):
    """A short text that may be left out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": 64, "required": False, "allow_blank": True, "default": "", **options})


class Expiry(serializers.DateTimeField):
    """A moment to come, at most `within` away."""

    def __init__(self, *, within: timedelta, **options: Any) -> None:
        self.within = within
        super().__init__(**options)

    def to_internal_value(self, value: Any) -> datetime:
        """An aware moment."""
        moment = super().to_internal_value(value)
        now = timezone.now()
        if not now < moment <= now + self.within:
            raise serializers.ValidationError(f"is not within the next {self.within.days} days")
        return moment


class CohortRequest(serializers.Serializer):
    """What robots have in common."""

    kind = serializers.ChoiceField(choices=[LEKIWI, XLE], required=False, allow_blank=True, default="")
    site = Word()


class RobotTokenRequest(CohortRequest):
    """Give a robot a token; the robot is entered if it was never heard."""

    tags = Tags(default=list)
    expires_at = Expiry(within=LONGEST_LIFE, required=False, allow_null=True, default=None)


class RotationRequest(serializers.Serializer):
    """Give a robot another token."""

    overlap_seconds = serializers.FloatField(
        min_value=0, max_value=30 * 86_400, default=86_400, help_text="how long the old token stays good"
    )


class EnrolmentTokenRequest(CohortRequest):
    """Make a token with which robots enrol by themselves."""

    uses = serializers.IntegerField(min_value=1, max_value=100_000)
    expires_at = Expiry(within=LONGEST_OPERATOR_LIFE)
    tags = Tags(default=list)
    replaces = serializers.BooleanField(default=False, help_text="a robot that has a token may enrol again")
    note = Word(max_length=200)


class OperatorTokenRequest(serializers.Serializer):
    """Make a token for one's own scripts."""

    name = serializers.CharField(max_length=64)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=list(SCOPES)), allow_empty=False, max_length=len(SCOPES)
    )
    expires_at = Expiry(within=LONGEST_OPERATOR_LIFE)


class LegacyClosureRequest(CohortRequest):
    """Close the legacy path for a cohort: at least one of kind, site and tag."""

    tag = serializers.RegexField(PATTERN, max_length=LONGEST_TAG, required=False, allow_blank=True, default="")
    reason = serializers.CharField(max_length=2_000)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Nobody closes it for everybody by leaving everything out."""
        if not (attrs["kind"] or attrs["site"] or attrs["tag"]):
            raise serializers.ValidationError("name a kind, a site or a tag")
        return attrs


class RobotTokenSerializer(serializers.ModelSerializer):
    """A robot's token by its prefix."""

    class Meta:
        model = RobotToken
        fields = [*_LIFE, "robot_id"]


class EnrolmentTokenSerializer(serializers.ModelSerializer):
    """An enrolment token by its prefix."""

    class Meta:
        model = EnrolmentToken
        fields = [*_LIFE, "note", "uses_granted", "uses_left", "kind", "site", "tags", "replaces"]


class OperatorTokenSerializer(serializers.ModelSerializer):
    """An operator's token by its prefix."""

    user = serializers.CharField(source="user.username", read_only=True)

    class Meta:
        model = OperatorToken
        fields = [*_LIFE, "user", "name", "scopes"]


class LegacyClosureSerializer(serializers.ModelSerializer):
    """A cohort whose legacy path is or was closed."""

    class Meta:
        model = LegacyClosure
        fields = ["id", "kind", "site", "tag", "reason", "closed_at", "closed_by", "opened_at", "opened_by"]


class NewRobotToken(RobotTokenSerializer):
    """With the token, this once."""

    token = serializers.CharField(help_text="shown this once")

    class Meta(RobotTokenSerializer.Meta):
        fields = [*RobotTokenSerializer.Meta.fields, "token"]


class NewEnrolmentToken(EnrolmentTokenSerializer):
    """With the token, this once."""

    token = serializers.CharField(help_text="shown this once")

    class Meta(EnrolmentTokenSerializer.Meta):
        fields = [*EnrolmentTokenSerializer.Meta.fields, "token"]


class NewOperatorToken(OperatorTokenSerializer):
    """With the token, this once."""

    token = serializers.CharField(help_text="shown this once")

    class Meta(OperatorTokenSerializer.Meta):
        fields = [*OperatorTokenSerializer.Meta.fields, "token"]
