"""The REST API: parse, ask, answer."""

from dataclasses import asdict
from typing import Any

from django.utils import timezone
from rest_framework.decorators import api_view, permission_classes, renderer_classes
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from heartbeat.api.rendering import EscapingJSONRenderer
from heartbeat.api.serializers import HeartbeatSerializer, RobotDetailSerializer, RobotSerializer
from heartbeat.fleet import fleet_summary
from heartbeat.models import Heartbeat, Robot
from heartbeat.rules.identity import key_of
from heartbeat.validation import robot_count

LATEST_HEARTBEATS = 100


class ByFirstSight(CursorPagination):
    """Robots in the order in which they were first heard, so that a page never shifts."""

    ordering = "id"
    page_size = 500
    page_size_query_param = "page_size"
    max_page_size = 10_000


class RobotList(ListAPIView):
    """All robots."""

    queryset = Robot.objects.all()
    serializer_class = RobotSerializer
    pagination_class = ByFirstSight

    def get_serializer_context(self) -> dict[str, Any]:
        """One moment for the liveness of all."""
        return {**super().get_serializer_context(), "now": timezone.now()}


@api_view(["GET"])
@renderer_classes([EscapingJSONRenderer])
def robot(request: Request, robot_id: str) -> Response:
    """One robot, by its id in any case."""
    return Response(RobotDetailSerializer(_robot(robot_id), context={"now": timezone.now()}).data)


@api_view(["GET"])
@renderer_classes([EscapingJSONRenderer])
def heartbeats(request: Request, robot_id: str) -> Response:
    """The latest heartbeats and update checks of a robot, newest first."""
    latest = Heartbeat.objects.filter(robot_key=_robot(robot_id).key).order_by("-received_at")[:LATEST_HEARTBEATS]
    return Response(HeartbeatSerializer(latest, many=True).data)


@api_view(["GET"])
def summary(request: Request) -> Response:
    """The fleet in numbers."""
    return Response(asdict(fleet_summary(timezone.now())))


@api_view(["GET"])
@permission_classes([AllowAny])  # counts only, and the runbooks' scripts ask without a login
def count(request: Request) -> Response:
    """How many robots each system knows, and whether the counts agree."""
    return Response(asdict(robot_count()))


def _robot(robot_id: str) -> Robot:
    try:
        return Robot.objects.get(key=key_of(robot_id))
    except Robot.DoesNotExist as error:
        raise NotFound(f"no robot is known as {robot_id}") from error
