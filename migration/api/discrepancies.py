"""REST v2 of the discrepancies: read, explain, propose, review, check now."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.generics import RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat.api.access_serializers import Flag
from heartbeat.api.listing import Listing
from heartbeat.api.paging import Keyset, Order
from heartbeat.api.parsing import body_of
from heartbeat.api.queries import Query, several
from heartbeat.api.serializers import Text
from migration.actors import Actor
from migration.api.permissions import may
from migration.api.serializers import Reason
from migration.models import Comparison, Discrepancy, Reconciliation
from migration.validation import consistency, reconciling

RECONCILE = "reconcile"


class ById(Keyset):
    """In the order in which they were found."""

    orders = {"id": Order("id", int)}
    default = "-id"
    unique = Order("id", int)


class AnyValue(serializers.JSONField):
    """A field's value as the system answers it."""


class ReconciliationSerializer(serializers.ModelSerializer):
    """A reconciliation, and what became of it."""

    class Meta:
        model = Reconciliation
        fields = ["id", "discrepancy", "taker", "reason", "state", "proposed_by", "proposed_at", "reviewed_by"]
        fields += ["reviewed_at", "ended_at", "failure"]


class DiscrepancySerializer(serializers.ModelSerializer):
    """A discrepancy with both values."""

    legacy = AnyValue(read_only=True)
    new = AnyValue(read_only=True)
    reconciliations = ReconciliationSerializer(many=True, read_only=True)

    class Meta:
        model = Discrepancy
        fields = ["id", "subject", "robot_id", "field", "legacy", "new", "state", "since", "read_at", "confirmed_at"]
        fields += ["ended_at", "explanation", "explained_by", "reconciliations"]


class DiscrepancyQuery(Query):
    """What can be filtered by."""

    state = several(serializers.ChoiceField(Discrepancy.State.values))
    subject = several(serializers.ChoiceField(Discrepancy.Subject.values))
    robot_id = serializers.CharField(required=False, max_length=2000)


class ExplanationRequest(serializers.Serializer):
    """Why it is no fault."""

    explanation = Reason()


class ReconciliationRequest(serializers.Serializer):
    """Which system should take the other's row, and why."""

    taker = serializers.ChoiceField(choices=Reconciliation.Taker.values)
    reason = Reason()


class ReviewRequest(serializers.Serializer):
    """Approve it, and it is applied at once, or reject it and say why."""

    approve = Flag()
    reason = Text(max_length=2000, required=False, allow_blank=True, default="")


class CohortSerializer(serializers.Serializer):
    """A cohort's consistency."""

    kind = serializers.CharField()
    site = serializers.CharField()
    rows = serializers.IntegerField()
    equal = serializers.IntegerField()
    percent = serializers.FloatField()


class ConsistencySerializer(serializers.Serializer):
    """The latest comparison: its rate, and that of each cohort. Null where nothing could be compared."""

    at = serializers.DateTimeField(allow_null=True)
    rows = serializers.IntegerField()
    equal = serializers.IntegerField()
    percent = serializers.FloatField(allow_null=True)
    explained = serializers.IntegerField()
    failure = serializers.CharField()
    cohorts = CohortSerializer(many=True)


class DiscrepanciesView(Listing):
    """Every discrepancy, the newest first."""

    queryset = Discrepancy.objects.prefetch_related("reconciliations")
    serializer_class = DiscrepancySerializer
    pagination_class = ById
    query_class = DiscrepancyQuery

    def narrowed(self, rows: QuerySet[Any], asked: Mapping[str, Any]) -> QuerySet[Any]:
        """Those that fit every parameter."""
        if states := asked.get("state"):
            rows = rows.filter(state__in=states)
        if subjects := asked.get("subject"):
            rows = rows.filter(subject__in=subjects)
        if "robot_id" in asked:
            rows = rows.filter(key=Discrepancy.key_of(asked["robot_id"]))
        return rows

    def versions(self, rows: QuerySet[Any]) -> Any:
        """A reconciliation changes the answer too."""
        ids = list(rows.values_list("pk", flat=True))
        inner = Reconciliation.objects.filter(discrepancy__in=ids).order_by("pk").values_list("pk", "state")
        return [super().versions(rows), list(inner)]


class DiscrepancyView(RetrieveAPIView):
    """One discrepancy."""

    queryset = Discrepancy.objects.prefetch_related("reconciliations")
    serializer_class = DiscrepancySerializer


class ExplanationView(APIView):
    """Explaining a discrepancy."""

    permission_classes = [may(RECONCILE)]

    @extend_schema(request=ExplanationRequest, responses=DiscrepancySerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Say why it is no fault; it holds for the values that it has now."""
        asked = body_of(request, ExplanationRequest)
        found = reconciling.explain(pk, actor=Actor.of(request.user), explanation=asked["explanation"])
        return Response(DiscrepancySerializer(found).data)


class ProposalView(APIView):
    """Proposing a reconciliation."""

    permission_classes = [may(RECONCILE)]

    @extend_schema(request=ReconciliationRequest, responses={201: ReconciliationSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Ask for a review; 409 with the reason when it cannot be reconciled this way."""
        asked = body_of(request, ReconciliationRequest)
        made = reconciling.propose(pk, asked["taker"], actor=Actor.of(request.user), reason=asked["reason"])
        return Response(ReconciliationSerializer(made).data, status=http.HTTP_201_CREATED)


class ReviewView(APIView):
    """Reviewing a reconciliation."""

    permission_classes = [may(RECONCILE)]

    @extend_schema(request=ReviewRequest, responses=ReconciliationSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Approve and apply it, or reject it. 409 for whoever proposed it. The answer says what became of it."""
        asked = body_of(request, ReviewRequest)
        actor = Actor.of(request.user)
        found = reconciling.review(pk, actor=actor, approved=asked["approve"], reason=asked["reason"])
        if asked["approve"]:
            found = reconciling.apply(found.pk)
        return Response(ReconciliationSerializer(found).data)


class ConsistencyView(APIView):
    """How consistent both systems are."""

    @extend_schema(responses=ConsistencySerializer)
    def get(self, request: Request) -> Response:
        """The latest comparison, by cohort."""
        Query().parsed(request.query_params)
        return Response(ConsistencySerializer(consistency.latest(Comparison.objects.first())).data)
