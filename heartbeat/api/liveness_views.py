"""Events, incidents and maintenance windows: parse, ask, answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Case, Prefetch, Q, QuerySet, Value, When
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat.api.finding import robot_or_404
from heartbeat.api.listing import Listing
from heartbeat.api.liveness_serializers import (
    LEVELS,
    MOST_ROBOTS,
    STATES,
    EventSerializer,
    IncidentDetailSerializer,
    IncidentSerializer,
    WindowChange,
    WindowPlan,
    WindowSerializer,
)
from heartbeat.api.paging import Keyset, Order
from heartbeat.api.permissions import holds
from heartbeat.api.problems import problem
from heartbeat.api.queries import Moment, Query, several
from heartbeat.api.versions import RowVersion
from heartbeat.models import Incident, IncidentMember, LivenessEvent, MaintenanceWindow
from heartbeat.rules.windows import Scope
from heartbeat.watching import maintenance

#: may plan, change and end silences
PLAN_SILENCE = "heartbeat.add_maintenancewindow"
_HIGHEST_ID = 2**63 - 1


class ByWriting(Keyset):
    """In the order in which they were written."""

    orders = {"id": Order("id", int)}
    default = "-id"


class EventQuery(Query):
    """Which events."""

    to_state = several(serializers.ChoiceField(STATES))
    since = Moment(required=False, help_text="Became true at this time or later")
    until = Moment(required=False, help_text="Became true before this time")


class Events(Listing):
    """Every change of a robot's liveness, newest first."""

    queryset = LivenessEvent.objects.all()
    serializer_class = EventSerializer
    pagination_class = ByWriting
    query_class = EventQuery

    def narrowed(self, rows: QuerySet[Any], asked: Mapping[str, Any]) -> QuerySet[Any]:
        """Those of the robot."""
        rows = rows.filter(robot_key=robot_or_404(self.kwargs["robot_id"]).key)
        return _narrowed(rows, asked, to_state="to_state__in", since="became_at__gte", until="became_at__lt")


class IncidentQuery(Query):
    """Which incidents."""

    site = several(serializers.CharField(max_length=64, allow_blank=True))
    level = several(serializers.ChoiceField(LEVELS))
    open = serializers.BooleanField(required=False, help_text="Whether they are not over")
    since = Moment(required=False, help_text="Opened at this time or later")
    until = Moment(required=False, help_text="Opened before this time")


class Incidents(Listing):
    """Silences of robots of one site, newest first."""

    queryset = Incident.objects.all()
    serializer_class = IncidentSerializer
    pagination_class = ByWriting
    query_class = IncidentQuery

    def narrowed(self, rows: QuerySet[Any], asked: Mapping[str, Any]) -> QuerySet[Any]:
        """The incidents that fit every parameter."""
        if "open" in asked:
            rows = rows.filter(closed_at__isnull=asked["open"])
        return _narrowed(rows, asked, site="site__in", level="level__in", since="opened_at__gte", until="opened_at__lt")


class IncidentView(APIView):
    """One incident."""

    @extend_schema(responses=IncidentDetailSerializer)
    def get(self, request: Request, number: int) -> Response:
        """An incident with its robots and what was told of it."""
        Query().parsed(request.query_params)
        members = IncidentMember.objects.order_by("id")[:MOST_ROBOTS]
        incidents = Incident.objects.prefetch_related(Prefetch("members", members, to_attr="first_members"), "notices")
        incident = _found(incidents, number, "incident")
        return Response(IncidentDetailSerializer(incident).data)


class WindowQuery(Query):
    """Which windows."""

    in_force = serializers.BooleanField(required=False, help_text="Whether they hold now")
    scope = several(serializers.ChoiceField(MaintenanceWindow.Scope.choices))


class Windows(Listing):
    """Planned silences, newest first. None is ever deleted."""

    serializer_class = WindowSerializer
    pagination_class = ByWriting
    query_class = WindowQuery

    def get_permissions(self) -> list[Any]:
        """Everybody who is logged in reads."""
        return [holds(PLAN_SILENCE)()] if self.request.method == "POST" else super().get_permissions()

    def get_queryset(self) -> QuerySet[MaintenanceWindow]:
        """All windows, judged at one moment."""
        return _windows(timezone.now())

    def narrowed(self, rows: QuerySet[Any], asked: Mapping[str, Any]) -> QuerySet[Any]:
        """The windows that fit every parameter."""
        return _narrowed(rows, asked, in_force="in_force", scope="scope__in")

    def versions(self, rows: QuerySet[Any]) -> Any:
        """A window begins and ends by itself, without a change of the row."""
        return list(rows.values_list(RowVersion(), "in_force"))

    @extend_schema(request=WindowPlan, responses={201: WindowSerializer})
    def post(self, request: Request) -> Response:
        """Plan a silence of everybody, a site, a kind, a tag or named robots: it will alarm nobody."""
        Query().parsed(request.query_params)
        asked = WindowPlan(data=request.data)
        asked.is_valid(raise_exception=True)
        given, now = asked.validated_data, timezone.now()
        whose = next((name for name in ("site", "kind", "tag", "robots") if name in given), "")
        try:
            window = maintenance.plan(
                Scope(whose or "everything"),
                value="" if whose in ("", "robots") else given[whose],
                robots=given.get("robots", ()),
                starts_at=given.get("starts_at", now),
                ends_at=given.get("ends_at"),
                reason=given["reason"],
                by=request.user.get_username(),
                at=now,
            )
        except maintenance.WrongTimes as error:
            raise ValidationError({"ends_at": [str(error)]}) from error
        return Response(_shown(window.pk), status=201)


class WindowView(APIView):
    """One planned silence."""

    def get_permissions(self) -> list[Any]:
        """Everybody who is logged in reads."""
        return [holds(PLAN_SILENCE)()] if self.request.method == "PATCH" else super().get_permissions()

    @extend_schema(responses=WindowSerializer)
    def get(self, request: Request, number: int) -> Response:
        """A planned silence."""
        Query().parsed(request.query_params)
        return Response(_shown(number))

    @extend_schema(request=WindowChange, responses=WindowSerializer)
    def patch(self, request: Request, number: int) -> Response:
        """Give it another reason or another end. What is left out stays: an edit of its reason lifts no pause."""
        Query().parsed(request.query_params)
        window = _found(MaintenanceWindow.objects.all(), number, "maintenance window")
        asked = WindowChange(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            maintenance.change(window, by=request.user.get_username(), at=timezone.now(), **asked.validated_data)
        except maintenance.WrongTimes as error:
            raise ValidationError({"ends_at": [str(error)]}) from error
        except maintenance.NotInForce as error:
            return problem(409, str(error))
        return Response(_shown(number))


class WindowEnd(APIView):
    """The end of a planned silence."""

    permission_classes = [holds(PLAN_SILENCE)]

    @extend_schema(request=None, responses=WindowSerializer)
    def post(self, request: Request, number: int) -> Response:
        """End it now: nothing else does, no heartbeat and no edit. One that has not begun is cancelled."""
        Query().parsed(request.query_params)
        window = _found(MaintenanceWindow.objects.all(), number, "maintenance window")
        try:
            maintenance.end(window, by=request.user.get_username(), at=timezone.now())
        except maintenance.NotInForce as error:
            return problem(409, str(error))
        return Response(_shown(number))


def _narrowed(rows: QuerySet[Any], asked: Mapping[str, Any], **lookups: str) -> QuerySet[Any]:
    """Filter by the parameters that were given; each has a look-up."""
    return rows.filter(**{lookup: asked[name] for name, lookup in lookups.items() if name in asked})


def _windows(now: datetime) -> QuerySet[MaintenanceWindow]:
    holds_now = Q(starts_at__lte=now) & (Q(ends_at__isnull=True) | Q(ends_at__gt=now))
    return MaintenanceWindow.objects.annotate(in_force=Case(When(holds_now, then=Value(True)), default=Value(False)))


def _shown(number: int) -> Any:
    return WindowSerializer(_found(_windows(timezone.now()), number, "maintenance window")).data


def _found(rows: QuerySet[Any], number: int, what: str) -> Any:
    found = rows.filter(pk=number).first() if number <= _HIGHEST_ID else None
    if found is None:
        raise NotFound(f"there is no {what} {number}")
    return found
