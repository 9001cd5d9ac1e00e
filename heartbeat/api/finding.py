"""A robot by the id in a path."""

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound

from heartbeat.models import Robot
from heartbeat.rules.identity import key_of


def robot_or_404(robot_id: str, robots: QuerySet[Robot] | None = None) -> Robot:
    """The robot with this id, in any case, among `robots` (all by default). Raises NotFound, which names it."""
    try:
        return (Robot.objects if robots is None else robots).get(key=key_of(robot_id))
    except Robot.DoesNotExist as error:
        raise NotFound(f"no robot is known as {robot_id}") from error
