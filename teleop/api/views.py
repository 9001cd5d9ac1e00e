"""Sessions, how robots stand, requests to stop: parse, ask, answer."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat.api.listing import Listing
from heartbeat.api.paging import Keyset, Order
from heartbeat.api.permissions import holds
from heartbeat.api.problems import problem
from heartbeat.api.queries import Moment, Query, several
from heartbeat.api.rendering import CSVRenderer, EscapingJSONRenderer
from heartbeat.rules.identity import key_of
from teleop import current, stopping
from teleop.api.serializers import (
    DRIVERS,
    ENDINGS,
    SESSION_STATES,
    STATES,
    OperationSerializer,
    SessionDetailSerializer,
    SessionSerializer,
    StopAsked,
    StopSerializer,
    SummarySerializer,
)
from teleop.errors import CannotStop, NoSuchRobot
from teleop.exporting import MEDIA_TYPE, parquet
from teleop.models import Session, StopRequest

#: rows of a Parquet file, which is made in memory
MOST_EXPORTED = 100_000


class ParquetRenderer(EscapingJSONRenderer):
    """Lets a caller ask for Parquet, which `Sessions` writes by itself; a problem is JSON for them too."""

    media_type = MEDIA_TYPE
    format = "parquet"
    charset = None


class ByBeginning(Keyset):
    """Newest first."""

    orders = {"began_at": Order("began_at", datetime), "robot_id": Order("robot_id", str)}
    default = "-began_at"
    unique = Order("pk", str)


class ByRobot(Keyset):
    """By id, or by since when they stand so."""

    orders = {"robot_id": Order("robot_id", str), "since": Order("since", datetime)}
    default = "robot_id"
    unique = Order("robot_key", bytes)


class ByAsking(Keyset):
    """Newest first."""

    orders = {"asked_at": Order("asked_at", datetime)}
    default = "-asked_at"
    unique = Order("pk", str)


def _text(most: int) -> serializers.CharField:
    return serializers.CharField(min_length=1, max_length=most, trim_whitespace=False)


class SessionQuery(Query):
    """Which sessions."""

    robot = several(_text(128), help_text="Ids, in any spelling")
    operator = several(_text(64))
    driver = several(serializers.ChoiceField(DRIVERS))
    state = several(serializers.ChoiceField(SESSION_STATES))
    ending = several(serializers.ChoiceField(ENDINGS))
    kind = several(_text(64))
    site = several(_text(64))
    since = Moment(required=False, help_text="Open at this time or later")
    until = Moment(required=False, help_text="Began before this time")
    min_latency_ms = serializers.FloatField(required=False, min_value=0, help_text="Highest latency at least this")
    max_fps = serializers.FloatField(required=False, min_value=0, help_text="Lowest frames per second at most this")
    min_loss_percent = serializers.FloatField(required=False, min_value=0, help_text="Highest loss at least this")
    contested = serializers.BooleanField(required=False, help_text="Whether two operators commanded at once")


class Sessions(Listing):
    """Who drove what, newest first; as JSON, CSV or Parquet."""

    queryset = Session.objects.all()
    serializer_class = SessionSerializer
    pagination_class = ByBeginning
    query_class = SessionQuery
    renderer_classes = [EscapingJSONRenderer, CSVRenderer, ParquetRenderer]

    def narrowed(self, rows: QuerySet[Any], asked: Mapping[str, Any]) -> QuerySet[Any]:
        """The sessions that fit every parameter."""
        lookups = {"driver": "driver__in", "state": "state__in", "ending": "ending__in", "kind": "kind__in"}
        lookups |= {"site": "site__in", "until": "began_at__lt", "operator": "operators__overlap"}
        lookups |= {"min_latency_ms": "highest_latency_ms__gte", "max_fps": "lowest_fps__lte"}
        lookups |= {"min_loss_percent": "highest_loss_percent__gte", "contested": "contested"}
        rows = rows.filter(**{lookup: asked[name] for name, lookup in lookups.items() if name in asked})
        if "robot" in asked:
            rows = rows.filter(robot_key__in=[key_of(robot_id) for robot_id in asked["robot"]])
        if "since" in asked:
            rows = rows.exclude(ended_at__lt=asked["since"])
        return rows

    def list(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """One page as JSON, or all rows as CSV or Parquet."""
        if request.accepted_renderer.format != ParquetRenderer.format:
            return super().list(request, *args, **kwargs)
        asked = self.get_query().parsed(request.query_params)
        rows = self.paginator.page(self.narrowed(self.get_queryset(), asked), asked).rows
        shown = self._shown_by(self._serializer({}))
        rows.query.set_limits(high=asked.get("limit", MOST_EXPORTED))
        answer = HttpResponse(parquet(shown(rows), asked.get("fields", self._serializer({}).fields)), MEDIA_TYPE)
        answer["Content-Disposition"] = 'attachment; filename="sessions.parquet"'
        return answer


class SessionView(APIView):
    """One session."""

    @extend_schema(responses=SessionDetailSerializer)
    def get(self, request: Request, session: uuid.UUID) -> Response:
        """A session with its steps, its operators and its quality over time."""
        Query().parsed(request.query_params)
        found = Session.objects.filter(pk=session).first()
        if found is None:
            raise NotFound(f"there is no session {session}")
        return Response(SessionDetailSerializer(found).data)


class OperationQuery(Query):
    """Which robots."""

    state = several(serializers.ChoiceField(STATES))
    driver = several(serializers.ChoiceField(DRIVERS))
    operator = several(_text(64))
    kind = several(_text(64))
    site = several(_text(64))
    disagrees = serializers.BooleanField(required=False, help_text="Whether legacy concludes something else")


class Operations(Listing):
    """How every robot stands now."""

    queryset = current.operations()
    serializer_class = OperationSerializer
    pagination_class = ByRobot
    query_class = OperationQuery

    def narrowed(self, rows: QuerySet[Any], asked: Mapping[str, Any]) -> QuerySet[Any]:
        """The robots that fit every parameter."""
        lookups = {"state": "state__in", "driver": "driver__in", "kind": "kind__in", "site": "site__in"}
        lookups |= {"operator": "operators__overlap"}
        rows = rows.filter(**{lookup: asked[name] for name, lookup in lookups.items() if name in asked})
        if "disagrees" in asked:
            keys = current.disagreements().order_by().values("robot_key")
            rows = rows.filter(robot_key__in=keys) if asked["disagrees"] else rows.exclude(robot_key__in=keys)
        return rows


class OperationView(APIView):
    """One robot."""

    @extend_schema(responses=OperationSerializer)
    def get(self, request: Request, robot_id: str) -> Response:
        """How it stands now."""
        Query().parsed(request.query_params)
        found = current.operations().filter(robot_key=key_of(robot_id)).first()
        if found is None:
            raise NotFound(f"nothing is known of the operation of {robot_id}")
        return Response(OperationSerializer(found).data)


class StopView(APIView):
    """Asking a robot to end its session."""

    permission_classes = [holds(stopping.STOP_SESSION)]

    @extend_schema(request=StopAsked, responses={201: StopSerializer})
    def post(self, request: Request, robot_id: str) -> Response:
        """Ask the robot to end its session. It answers itself, or the request times out after five seconds."""
        Query().parsed(request.query_params)
        asked = StopAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        now = timezone.now()
        try:
            made = stopping.ask_to_stop(
                robot_id, reason=asked.validated_data["reason"], by=request.user.get_username(), at=now
            )
        except NoSuchRobot as error:
            raise NotFound(str(error)) from error
        except CannotStop as error:
            return problem(409, str(error))
        return Response(StopSerializer(made, context={"now": now}).data, status=201)


class Stops(Listing):
    """Requests to stop, newest first."""

    queryset = StopRequest.objects.all()
    serializer_class = StopSerializer
    pagination_class = ByAsking

    def get_serializer_context(self) -> dict[str, Any]:
        """All rows are judged at one moment."""
        return {**super().get_serializer_context(), "now": timezone.now()}


class StopRequestView(APIView):
    """One request to stop."""

    @extend_schema(responses=StopSerializer)
    def get(self, request: Request, stop: uuid.UUID) -> Response:
        """What became of it."""
        Query().parsed(request.query_params)
        found = StopRequest.objects.filter(pk=stop).first()
        if found is None:
            raise NotFound(f"there is no request {stop}")
        return Response(StopSerializer(found, context={"now": timezone.now()}).data)


class SummaryView(APIView):
    """The fleet's operation."""

    @extend_schema(responses=SummarySerializer)
    def get(self, request: Request) -> Response:
        """Who drives how many, alerts, and where legacy concludes something else."""
        Query().parsed(request.query_params)
        return Response(SummarySerializer(current.summary(timezone.now())).data)
