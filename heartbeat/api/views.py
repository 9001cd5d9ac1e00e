"""The REST API: parse, ask, answer."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from heartbeat import setting_robots
from heartbeat.api.csv_text import CSVParser
from heartbeat.api.entering import EntryResult, RobotEntry, RowsRefused, entries_of
from heartbeat.api.finding import robot_or_404
from heartbeat.api.listing import Listing
from heartbeat.api.parsing import BoundedJSONParser
from heartbeat.api.permissions import holds
from heartbeat.api.problems import PreconditionFailed, problem
from heartbeat.api.queries import Names, Query
from heartbeat.api.robot_query import ByRobot, RobotQuery, narrowed
from heartbeat.api.serializers import (
    FleetSummarySerializer,
    RobotCountSerializer,
    RobotDetailSerializer,
    RobotSerializer,
    RobotSettings,
)
from heartbeat.api.versions import RowVersion, digest, etag_of, is_current, not_modified, opaque_tags, tagged
from heartbeat.fleet import fleet_summary, with_liveness
from heartbeat.models import Robot
from heartbeat.validation import robot_count

#: may set what operators set of robots
SET_ROBOTS = "heartbeat.change_robot"


class Robots(Listing):
    """All robots, those included that are enrolled and were never heard."""

    serializer_class = RobotSerializer
    pagination_class = ByRobot
    query_class = RobotQuery
    parser_classes = [BoundedJSONParser, CSVParser]

    def get_permissions(self) -> list[Any]:
        """Everybody who is logged in reads."""
        return [holds(SET_ROBOTS)()] if self.request.method == "POST" else super().get_permissions()

    def get_queryset(self) -> QuerySet[Robot]:
        """All robots, judged at one moment."""
        return with_liveness(Robot.objects.all(), timezone.now())

    def narrowed(self, rows: QuerySet[Any], asked: Mapping[str, Any]) -> QuerySet[Any]:
        """The robots that fit every parameter."""
        return narrowed(rows, asked)

    def versions(self, rows: QuerySet[Any]) -> Any:
        """Liveness changes by itself, without a change of the row."""
        return list(rows.values_list("key", RowVersion(), "liveness"))

    @extend_schema(request=RobotEntry(many=True), responses=EntryResult)
    def post(self, request: Request) -> Response:
        """Enter robots, and set tags, site and times of many at once, as JSON or CSV. All rows or none."""
        Query().parsed(request.query_params)
        try:
            rows = entries_of(request.data)
        except RowsRefused as refused:
            return problem(400, str(refused), errors=refused.errors)
        entered = setting_robots.enter(rows, actor=request.user.get_username(), now=timezone.now())
        return Response(asdict(entered))


class RobotView(APIView):
    """One robot, by its id in any case."""

    def get_permissions(self) -> list[Any]:
        """Everybody who is logged in reads."""
        return [holds(SET_ROBOTS)()] if self.request.method == "PATCH" else super().get_permissions()

    def get_query(self) -> Query:
        """Which members to answer."""
        query = Query()
        query.fields["fields"] = Names(RobotDetailSerializer().fields, required=False)
        query.fields["format"] = serializers.ChoiceField(["json"], required=False)
        return query

    @extend_schema(responses=RobotDetailSerializer)
    def get(self, request: Request, robot_id: str) -> Response:
        """Everything that is known of a robot, with its latest heartbeat."""
        asked = self.get_query().parsed(request.query_params)
        robot = _judged(robot_id)
        etag = _etag(robot)
        if is_current(request, etag):
            return not_modified(etag)
        shown = RobotDetailSerializer(robot).data
        return tagged(Response({name: shown[name] for name in asked.get("fields", shown)}), etag)

    @extend_schema(
        request=RobotSettings,
        responses=RobotDetailSerializer,
        parameters=[OpenApiParameter("If-Match", str, OpenApiParameter.HEADER, description="the ETag of the robot")],
    )
    def patch(self, request: Request, robot_id: str) -> Response:
        """Set tags and times.

        With `If-Match`, only if nobody set anything since that ETag; a heartbeat in between is no conflict.
        """
        Query().parsed(request.query_params)
        robot = robot_or_404(robot_id)
        wanted = RobotSettings(data=request.data)
        wanted.is_valid(raise_exception=True)
        _require_match(request, robot)
        try:
            setting_robots.change(robot, wanted.validated_data, actor=request.user.get_username())
        except setting_robots.ChangedMeanwhile as error:
            raise PreconditionFailed("its settings were changed meanwhile: read them again") from error
        robot = _judged(robot_id)
        return tagged(Response(RobotDetailSerializer(robot).data), _etag(robot))


class FleetSummaryView(APIView):
    """The fleet in numbers."""

    @extend_schema(responses=FleetSummarySerializer)
    def get(self, request: Request) -> Response:
        """Count robots by kind, status, liveness and owner, now."""
        Query().parsed(request.query_params)
        return Response(asdict(fleet_summary(timezone.now())))


class RobotCountView(APIView):
    """The robots that each system knows."""

    permission_classes = [AllowAny]  # counts only, and the runbooks' scripts ask without a login

    @extend_schema(responses=RobotCountSerializer)
    def get(self, request: Request) -> Response:
        """How many robots each system knows, and whether the counts agree; legacy is asked live."""
        Query().parsed(request.query_params)
        return Response(asdict(robot_count()))


def _judged(robot_id: str) -> Robot:
    return robot_or_404(robot_id, with_liveness(Robot.objects.annotate(row_version=RowVersion()), timezone.now()))


def _etag(robot: Any) -> str:
    """A version of the settings, for `If-Match`, and one of everything."""
    version = digest(robot.row_version, robot.liveness)
    return etag_of(version).replace('/"', f'/"{_settings_version(robot)}.')


def _settings_version(robot: Robot) -> str:
    return digest(setting_robots.settings_of(robot))


def _require_match(request: Request, robot: Robot) -> None:
    header = request.headers.get("if-match")
    if header is None:
        return
    seen = [tag.partition(".")[0] for tag in opaque_tags(header)]
    if seen != ["*"] and _settings_version(robot) not in seen:
        raise PreconditionFailed("its settings are not those that If-Match names: read them again")
