"""What the API says of tokens and closures, and what it may be asked. A token is answered once, when it is made."""

from typing import Any

from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from heartbeat.api.serializers import Seconds, Tag, Tags, Text
from heartbeat.models import EnrolmentToken, LegacyClosure, OperatorToken, RobotToken
from heartbeat.rules.kind import LEKIWI, XLE
from heartbeat.rules.scopes import SCOPES

DAY_SECONDS = 86_400.0
LONGEST_LIFE_SECONDS = 3_660 * DAY_SECONDS
#: what no robot carries is renewed within a year
LONGEST_SCRIPTS_LIFE_SECONDS = 366 * DAY_SECONDS
SHORTEST_LIFE_SECONDS = 60.0
_LIFE = ["id", "prefix", "created_at", "created_by", "expires_at", "revoked_at", "revoked_by", "last_used_at"]


class Needed(Text):
    """A text that says something."""

    def __init__(self, *, max_length: int, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)
        set_override(self, "field", {"type": "string", "maxLength": max_length, "pattern": r"\S"})


class Flag(serializers.BooleanField):
    """True or false. DRF's own takes 0 and "on", too."""

    def to_internal_value(self, data: Any) -> bool:
        """The value, or a refusal."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Whole(serializers.IntegerField):
    """A whole number. DRF's own takes texts, too."""

    def to_internal_value(self, data: Any) -> int:
        """The number, or a refusal."""
        if isinstance(data, bool | str):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "array", "minItems": 1, "maxItems": len(SCOPES), "items": {"enum": list(SCOPES)}})
class Scopes(serializers.ListField):
    """Some scopes."""

    def __init__(self, **options: Any) -> None:
        child = serializers.ChoiceField(choices=list(SCOPES))
        super().__init__(child=child, allow_empty=False, max_length=len(SCOPES), **options)


class Asked(serializers.Serializer):
    """A body in which an unknown member is refused: a misspelt overlap must not mean the usual one."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """The members that are given."""
        if isinstance(data, dict) and (unknown := [name for name in data if name not in self.fields]):
            reason = f"is not known here; there are {', '.join(self.fields)}"
            raise serializers.ValidationError({str(name): [reason] for name in unknown})
        given: dict[str, Any] = super().to_internal_value(data)
        return given


class AskedInSchema(OpenApiSerializerExtension):
    """How OpenAPI describes such a body."""

    target_class = Asked
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        """The members and no others, and what a subclass says beyond its fields."""
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**schema, "additionalProperties": False, **getattr(self.target, "beyond_fields", {})}


class CohortRequest(Asked):
    """What robots have in common."""

    kind = serializers.ChoiceField(choices=[LEKIWI, XLE], required=False, allow_blank=True, default="")
    site = Text(max_length=64, required=False, allow_blank=True, default="")


class RobotTokenRequest(CohortRequest):
    """Give a robot a token; the robot is entered if it was never heard."""

    tags = Tags(default=list, help_text="added to those it has")
    expires_in_seconds = Seconds(
        min_value=SHORTEST_LIFE_SECONDS,
        max_value=LONGEST_LIFE_SECONDS,
        required=False,
        allow_null=True,
        default=None,
        help_text="null: it does not expire",
    )


class RotationRequest(Asked):
    """Give a robot another token."""

    overlap_seconds = Seconds(
        min_value=0, max_value=30 * DAY_SECONDS, default=DAY_SECONDS, help_text="how long the old token stays good"
    )


class EnrolmentTokenRequest(CohortRequest):
    """Make a token with which robots enrol by themselves. Its kind and site win over what a robot asks for."""

    uses = Whole(min_value=1, max_value=100_000, help_text="how many robots may enrol")
    expires_in_seconds = Seconds(min_value=SHORTEST_LIFE_SECONDS, max_value=LONGEST_SCRIPTS_LIFE_SECONDS)
    tags = Tags(default=list)
    replaces = Flag(default=False, help_text="a robot that has a token may enrol again")
    note = Text(max_length=200, required=False, allow_blank=True, default="")


class OperatorTokenRequest(Asked):
    """Make a token for one's own scripts."""

    name = Needed(max_length=64, help_text="what it is for")
    scopes = Scopes()
    expires_in_seconds = Seconds(min_value=SHORTEST_LIFE_SECONDS, max_value=LONGEST_SCRIPTS_LIFE_SECONDS)


class LegacyClosureRequest(CohortRequest):
    """Close the legacy path for a cohort: at least one of kind, site and tag."""

    tag = Tag(required=False)
    reason = Needed(max_length=2_000)

    beyond_fields = {
        "anyOf": [
            {"required": ["kind"], "properties": {"kind": {"enum": [LEKIWI, XLE]}}},
            {"required": ["site"], "properties": {"site": {"pattern": r"\S"}}},
            {"required": ["tag"]},
        ]
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Nobody closes it for everybody by leaving everything out."""
        if not (attrs["kind"] or attrs["site"] or attrs.get("tag")):
            raise serializers.ValidationError("name a kind, a site or a tag")
        return {"tag": "", **attrs}


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
