"""What the REST API says about operation, and what is said to it."""

from typing import Any

from rest_framework import serializers

from heartbeat.api.serializers import Text
from teleop import stopping
from teleop.current import alerts_for
from teleop.models import Participation, QualitySample, RobotOperation, Session, SessionEvent, StopRequest
from teleop.rules.signals import Driver
from teleop.rules.standing import Ending, Step

STATES = RobotOperation.State.choices
SESSION_STATES = Session.State.choices
DRIVERS = [each.value for each in Driver]
ENDINGS = [each.value for each in Ending]
MOST_SAMPLES = 3_600


class AlertSerializer(serializers.Serializer):
    """What is wrong with a session now."""

    kind = serializers.CharField()
    sentence = serializers.CharField()


class OperationSerializer(serializers.ModelSerializer):
    """How a robot stands now."""

    session = serializers.UUIDField(source="session_id", allow_null=True)
    alerts = serializers.SerializerMethodField()
    legacy_claims = serializers.BooleanField(
        source="claim", allow_null=True, help_text="whether legacy says that it is teleoperated"
    )
    legacy_field = serializers.CharField(
        source="claim_field",
        allow_null=True,
        help_text="the field of legacy's record that says so; null: not read lately, concluded from the service",
    )
    legacy_since = serializers.DateTimeField(
        source="claim_since", allow_null=True, help_text="when legacy was first read to say so"
    )
    legacy_read_at = serializers.DateTimeField(source="claim_read_at", allow_null=True)
    legacy_told_at = serializers.DateTimeField(
        allow_null=True, help_text="when the robot last told of the service from which legacy concludes"
    )

    class Meta:
        model = RobotOperation
        fields = [
            *("robot_id", "kind", "site", "state", "since", "basis", "confidence", "because", "evidence", "heard_at"),
            *("session", "driver", "operators", "contested", "latency_ms", "fps", "loss_percent", "rate_hz"),
            *("legacy_claims", "legacy_field", "legacy_since", "legacy_read_at", "legacy_told_at", "alerts"),
        ]
        read_only_fields = fields

    def get_alerts(self, row: RobotOperation) -> list[dict[str, str]]:
        """Latency, frames, loss, lost commands, two operators."""
        return [{"kind": alert.kind, "sentence": alert.sentence} for alert in alerts_for(row)]


class SessionSerializer(serializers.ModelSerializer):
    """A session. `ended_at` is the last command, `…_known_at` when this system knew."""

    duration_seconds = serializers.SerializerMethodField(help_text="null while it is open")
    ending = serializers.ChoiceField(ENDINGS, allow_blank=True)

    class Meta:
        model = Session
        fields = [
            *("id", "robot_id", "kind", "site", "state", "driver", "operators", "contested", "basis", "confidence"),
            *("began_at", "began_known_at", "lost_at", "ended_at", "ended_known_at", "ending", "losses"),
            *("duration_seconds", "samples", "latency_ms", "highest_latency_ms", "fps", "lowest_fps"),
            *("loss_percent", "highest_loss_percent"),
        ]
        read_only_fields = fields

    def get_duration_seconds(self, row: Session) -> float | None:
        """From the first command to the last."""
        return None if row.ended_at is None else round((row.ended_at - row.began_at).total_seconds(), 3)


class StepSerializer(serializers.ModelSerializer):
    """A step, and the evidence that decided it."""

    step = serializers.ChoiceField([each.value for each in Step])

    class Meta:
        model = SessionEvent
        fields = ["step", "at", "known_at", "state", "because", "evidence", "confidence", "driver", "operator"]
        read_only_fields = fields


class ParticipationSerializer(serializers.ModelSerializer):
    """An operator's part."""

    class Meta:
        model = Participation
        fields = ["operator", "from_at", "until_at"]
        read_only_fields = fields


class SampleSerializer(serializers.ModelSerializer):
    """How it went at one moment."""

    class Meta:
        model = QualitySample
        fields = ["at", "latency_ms", "fps", "loss_percent", "rate_hz", "bitrate_kbps"]
        read_only_fields = fields


class SessionDetailSerializer(SessionSerializer):
    """A session with its steps, its operators and its quality over time."""

    steps = serializers.SerializerMethodField()
    participations = ParticipationSerializer(many=True, read_only=True)
    quality = serializers.SerializerMethodField()

    class Meta(SessionSerializer.Meta):
        fields = [*SessionSerializer.Meta.fields, "steps", "participations", "quality"]
        read_only_fields = fields

    def get_steps(self, row: Session) -> list[dict[str, Any]]:
        """In the order in which they were known."""
        return list(StepSerializer(row.events.order_by("pk"), many=True).data)

    def get_quality(self, row: Session) -> list[dict[str, Any]]:
        """The latest hour of it."""
        newest = row.quality.order_by("-at")[:MOST_SAMPLES]
        return list(SampleSerializer(reversed(newest), many=True).data)


class StopAsked(serializers.Serializer):
    """Why the robot shall end its session."""

    reason = Text(max_length=500)


class StopSerializer(serializers.ModelSerializer):
    """A request to stop. `acknowledged` is the robot's own word; nothing else says that it stopped."""

    session = serializers.UUIDField(source="session_id", allow_null=True)
    state = serializers.SerializerMethodField()

    class Meta:
        model = StopRequest
        fields = [
            *("id", "robot_id", "session", "state", "reason", "asked_by", "asked_at", "expires_at", "sent_at"),
            *("answered_at", "detail"),
        ]
        read_only_fields = fields

    def get_state(self, row: StopRequest) -> str:
        """One that nobody answered in time is timed out."""
        return stopping.state_of(row, self.context["now"]).value


class SummarySerializer(serializers.Serializer):
    """The fleet's operation in numbers."""

    robots = serializers.IntegerField()
    by_state = serializers.DictField(child=serializers.IntegerField())
    by_driver = serializers.DictField(child=serializers.IntegerField())
    contested = serializers.IntegerField()
    alerts = serializers.IntegerField()
    disagreements = serializers.IntegerField()
    operators_with_several = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    watched = serializers.BooleanField(help_text="the watcher makes progress, so that this is of now")
    watcher_age_seconds = serializers.FloatField(allow_null=True)
