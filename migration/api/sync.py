"""REST v2 of sync: how it stands, a full sync, its tuning, quarantine, matches, gaps."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiTypes, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat.api.access_serializers import Flag
from heartbeat.api.listing import Listing
from heartbeat.api.parsing import body_of
from heartbeat.api.queries import Query
from heartbeat.api.serializers import Text
from migration.actors import Actor
from migration.api.permissions import may
from migration.api.serializers import Reason
from migration.api.views import NewestFirst
from migration.models import HistoryGap, MatchEntry, QuarantinedRow, SyncRun
from migration.syncing import fleet, orders, tuning
from migration.syncing.status import sync_status

_INTERVAL, _CALLS, _BATCH = (tuning.BOUNDS[name] for name in ("interval_seconds", "calls_per_second", "batch_size"))


@extend_schema_field({"type": "string", "pattern": "^[0-9A-Fa-f:.]{2,45}$"})
class Address(serializers.RegexField):
    """An address as legacy lists it."""

    def __init__(self, **options: Any) -> None:
        told = {"invalid": "is no IP address"}
        super().__init__(r"^[0-9A-Fa-f:.]{2,45}$", trim_whitespace=False, error_messages=told, **options)

    def to_internal_value(self, data: Any) -> str:
        """The text, or a refusal."""
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


@extend_schema_field({"type": "string", "maxLength": 128, "pattern": r"\S"})
class RobotId(Text):
    """A robot's id in any spelling."""


class TuningRequest(serializers.Serializer):
    """What to change; the rest stays."""

    interval_seconds = serializers.FloatField(required=False, min_value=_INTERVAL[0], max_value=_INTERVAL[1])
    calls_per_second = serializers.FloatField(required=False, min_value=_CALLS[0], max_value=_CALLS[1])
    batch_size = serializers.IntegerField(required=False, min_value=int(_BATCH[0]), max_value=int(_BATCH[1]))
    paused = Flag(required=False)
    reason = Text(max_length=2000, required=False, allow_blank=True, default="")


class MatchRequest(serializers.Serializer):
    """Which robot an address is."""

    address = Address()
    robot_id = RobotId(max_length=128)
    reason = Reason()


class SyncRunSerializer(serializers.ModelSerializer):
    """A full sync."""

    seconds = serializers.FloatField(read_only=True)
    eta_seconds = serializers.FloatField(read_only=True, allow_null=True)

    class Meta:
        model = SyncRun
        exclude = ["cursor"]


class QuarantinedSerializer(serializers.ModelSerializer):
    """A row that waits, as legacy listed it."""

    document = serializers.JSONField(read_only=True, allow_null=True)

    class Meta:
        model = QuarantinedRow
        fields = "__all__"


class MatchSerializer(serializers.ModelSerializer):
    """An address and the robot that it is."""

    class Meta:
        model = MatchEntry
        exclude = ["robot_key"]


class GapSerializer(serializers.ModelSerializer):
    """A time in which a system did not hear a robot."""

    class Meta:
        model = HistoryGap
        exclude = ["key"]


class SyncView(APIView):
    """How sync stands, both ways."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Lag, what is pending, the way back, what throttles it, totals, the latest full sync."""
        Query().parsed(request.query_params)
        return Response(sync_status())


class SyncTuningView(APIView):
    """How much sync may ask of legacy."""

    permission_classes = [may("sync_rows")]

    @extend_schema(request=TuningRequest, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request) -> Response:
        """Change it while it runs."""
        asked = body_of(request, TuningRequest)
        reason = asked.pop("reason")
        row = tuning.tune(asked, actor=Actor.of(request.user), reason=reason)
        return Response({name: getattr(row, name) for name in tuning.FIELDS})


class SyncRunsView(Listing):
    """Full syncs, newest first."""

    queryset = SyncRun.objects.all()
    serializer_class = SyncRunSerializer
    pagination_class = NewestFirst

    def get_permissions(self) -> list[Any]:
        """Everybody who is logged in reads; asking has a permission of its own."""
        return [may("sync_rows")()] if self.request.method == "POST" else super().get_permissions()

    @extend_schema(request=None, responses={202: SyncRunSerializer})
    def post(self, request: Request) -> Response:
        """Ask for a full sync; while one runs, that one is answered."""
        run = orders.full_sync(Actor.of(request.user))
        return Response(SyncRunSerializer(run).data, status=http.HTTP_202_ACCEPTED)


class QuarantineView(Listing):
    """Rows of legacy's that wait, newest first."""

    queryset = QuarantinedRow.objects.filter(settled_at=None)
    serializer_class = QuarantinedSerializer
    pagination_class = NewestFirst


class MatchesView(Listing):
    """The match table of addresses."""

    queryset = MatchEntry.objects.all()
    serializer_class = MatchSerializer
    pagination_class = NewestFirst

    def get_permissions(self) -> list[Any]:
        """Everybody who is logged in reads; matching by hand has a permission of its own."""
        return [may("sync_rows")()] if self.request.method == "POST" else super().get_permissions()

    @extend_schema(request=MatchRequest, responses={201: MatchSerializer})
    def post(self, request: Request) -> Response:
        """Match an address with a robot by hand; sync does not change it any more."""
        asked = body_of(request, MatchRequest)
        entry = fleet.match_by_hand(
            asked["address"], asked["robot_id"], actor=Actor.of(request.user), reason=asked["reason"]
        )
        return Response(MatchSerializer(entry).data, status=http.HTTP_201_CREATED)


class GapsView(Listing):
    """Gaps in the history of either system, newest first."""

    queryset: QuerySet[HistoryGap] = HistoryGap.objects.all()
    serializer_class = GapSerializer
    pagination_class = NewestFirst
