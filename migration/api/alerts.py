"""REST v2 of alerts and notifications: Alertmanager's webhook, lists, acknowledging, sending again."""

import hmac
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat.api.authentication import actor_of
from heartbeat.api.listing import Listing
from heartbeat.api.queries import Query
from heartbeat.api.serializers import Text
from heartbeat.rules.tokens import bearer_in
from migration.actors import Actor
from migration.alerts import acknowledging, receiving
from migration.api.permissions import may
from migration.api.views import NewestFirst
from migration.models import Alert, Delivery
from migration.notifying import delivering
from migration.rules.alerting import Firing

#: Alertmanager sends a group at once; more than this in one message is none of its own
MOST_ALERTS = 1_000


class Alertmanager:
    """Whoever holds the webhook's secret. Not a user: it has no other permission."""

    is_authenticated = True

    def has_perm(self, permission: str) -> bool:
        """None."""
        return False


class AlertmanagerToken(BaseAuthentication):
    """`Authorization: Bearer …` with `ALERTMANAGER_TOKEN`. Needs no database."""

    def authenticate(self, request: Request) -> tuple[Any, None]:
        """Alertmanager, or 401. An unset secret lets nobody in."""
        given = bearer_in(get_authorization_header(request))
        known = settings.ALERTMANAGER_TOKEN
        if not known:
            raise AuthenticationFailed("no alert is taken: ALERTMANAGER_TOKEN is not set")
        if given is None or not hmac.compare_digest(given, known.encode()):
            raise AuthenticationFailed("this needs Alertmanager's bearer secret")
        return Alertmanager(), None

    def authenticate_header(self, request: Request) -> str:
        """The challenge of a 401."""
        return 'Bearer realm="alerts"'


class AlertmanagerTokenInSchema(OpenApiAuthenticationExtension):
    """How OpenAPI describes it."""

    target_class = "migration.api.alerts.AlertmanagerToken"
    name = "alertmanagerToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer secret of its own."""
        return {"type": "http", "scheme": "bearer", "description": "ALERTMANAGER_TOKEN, for this call alone"}


class _Labels(serializers.DictField):
    """Names to texts."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=Text(max_length=10_000, allow_blank=True, trim_whitespace=False), **options)


class SentAlert(serializers.Serializer):
    """One alert in Alertmanager's own words (webhook version 4)."""

    status = serializers.ChoiceField(["firing", "resolved"])
    labels = _Labels(help_text="`alertname` is needed; `severity: critical` with `action: rollback` rolls back")
    annotations = _Labels(required=False, default=dict)
    startsAt = serializers.DateTimeField()
    fingerprint = Text(max_length=64)

    def validate_labels(self, labels: dict[str, str]) -> dict[str, str]:
        """An alert has a name."""
        if not labels.get("alertname"):
            raise serializers.ValidationError("has no alertname")
        return labels


class AlertmanagerMessage(serializers.Serializer):
    """What Alertmanager posts; members that are not here are not read."""

    version = serializers.ChoiceField(["4"])
    groupKey = Text(max_length=10_000, required=False, allow_blank=True, default="")
    alerts = SentAlert(many=True, max_length=MOST_ALERTS)

    def firings(self) -> list[Firing]:
        """The alerts as the rules see them."""
        return [
            Firing(
                name=one["labels"]["alertname"],
                fingerprint=one["fingerprint"],
                is_firing=one["status"] == "firing",
                labels=one["labels"],
                annotations=one["annotations"],
                began_at=one["startsAt"],
                group=self.validated_data["groupKey"],
            )
            for one in self.validated_data["alerts"]
        ]


class ReceivedAlerts(serializers.Serializer):
    """What became of the message."""

    firing = serializers.IntegerField()
    resolved = serializers.IntegerField()
    proves_pipeline = serializers.BooleanField(help_text="the always-firing alert was among them")
    outcomes = serializers.ListField(child=serializers.CharField(), help_text="what was done by itself")


class AlertmanagerView(APIView):
    """Alertmanager's webhook."""

    authentication_classes = [AlertmanagerToken]
    permission_classes: list[Any] = []

    @extend_schema(request=AlertmanagerMessage, responses=ReceivedAlerts)
    def post(self, request: Request) -> Response:
        """Take its alerts: acted on first, then kept."""
        message = AlertmanagerMessage(data=request.data)
        message.is_valid(raise_exception=True)
        return Response(ReceivedAlerts(receiving.receive(message.firings())).data)


class AlertSerializer(serializers.ModelSerializer):
    """An alert, and who was told of it."""

    title = serializers.CharField(read_only=True)
    told = serializers.SerializerMethodField()

    class Meta:
        model = Alert
        fields = [
            *("id", "title", "severity", "sentence", "source", "group", "labels", "runbook", "outcome"),
            *("opened_at", "closed_at", "acknowledged_at", "acknowledged_by", "comment", "told"),
        ]

    def get_told(self, alert: Alert) -> list[str]:
        """The steps of its escalation that were taken."""
        return [step.who for step in alert.escalations.all()]


class AlertQuery(Query):
    """Which alerts."""

    state = serializers.ChoiceField(
        ["open", "waiting", "over"], required=False, help_text="waiting: open, nobody has it"
    )
    severity = serializers.ChoiceField(Alert.Severity.values, required=False)


class AlertsView(Listing):
    """Alerts, the newest first."""

    queryset = Alert.objects.prefetch_related("escalations")
    serializer_class = AlertSerializer
    pagination_class = NewestFirst
    query_class = AlertQuery

    def narrowed(self, rows: QuerySet[Alert], asked: Mapping[str, Any]) -> QuerySet[Alert]:
        """By state and severity."""
        if severity := asked.get("severity"):
            rows = rows.filter(severity=severity)
        match asked.get("state"):
            case "open":
                return rows.filter(closed_at=None)
            case "waiting":
                return rows.filter(closed_at=None, acknowledged_at=None)
            case "over":
                return rows.exclude(closed_at=None)
        return rows

    def versions(self, rows: QuerySet[Any]) -> Any:
        """An escalation changes an answer, too."""
        return [super().versions(rows), [alert.escalations.count() for alert in rows]]


class CommentRequest(serializers.Serializer):
    """What is being done about it, if anything is to be said."""

    comment = Text(max_length=2000, required=False, allow_blank=True, default="")


class AlertAcknowledgementView(APIView):
    """Taking care of an alert."""

    permission_classes = [may("acknowledge_alert")]

    @extend_schema(request=CommentRequest, responses=AlertSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Acknowledge it; 409 if somebody has it or it is over."""
        asked = CommentRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        comment = asked.validated_data["comment"]
        alert = acknowledging.acknowledge(pk, actor=Actor(actor_of(request)), comment=comment)
        return Response(AlertSerializer(alert).data)


class DeliverySerializer(serializers.ModelSerializer):
    """A message on its way to a destination."""

    says = serializers.SerializerMethodField()

    class Meta:
        model = Delivery
        fields = ["id", "uid", "destination", "state", "attempts", "created_at", "due_at", "sent_at", "failure", "says"]

    def get_says(self, delivery: Delivery) -> list[str]:
        """The sentences in it."""
        return [one.sentence for one in delivery.notifications.all()]


class DeliveryQuery(Query):
    """Which deliveries."""

    state = serializers.ChoiceField(Delivery.State.values, required=False)


class DeliveriesView(Listing):
    """Messages to people, the newest first."""

    queryset = Delivery.objects.prefetch_related("notifications")
    serializer_class = DeliverySerializer
    pagination_class = NewestFirst
    query_class = DeliveryQuery

    def narrowed(self, rows: QuerySet[Delivery], asked: Mapping[str, Any]) -> QuerySet[Delivery]:
        """By state."""
        return rows.filter(state=asked["state"]) if "state" in asked else rows


class DeliveryRetryView(APIView):
    """Sending a message again that was given up."""

    permission_classes = [may("acknowledge_alert")]

    @extend_schema(request=None, responses=DeliverySerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Have it sent again; 409 if it is on its way or was taken."""
        return Response(DeliverySerializer(delivering.retry(pk, actor=Actor(actor_of(request)))).data)
