"""Asking a robot to end its session: an operator's safety action, and never a motion command."""

from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction

from heartbeat.models import Robot
from heartbeat.rules.identity import key_of
from heartbeat.telling import tell
from teleop.errors import CannotStop, NoSuchRobot
from teleop.models import RobotOperation, StopRequest

log = structlog.get_logger(__name__)

#: the permission that it needs
STOP_SESSION = "teleop.stop_session"
#: a robot that has not answered by then is said not to have
PATIENCE = timedelta(seconds=5)


def ask_to_stop(robot_id: str, *, reason: str, by: str, at: datetime) -> StopRequest:
    """Ask the robot to end its session; ingest tells it on its socket, and it answers or the request times out.

    Raises NoSuchRobot, or CannotStop: nobody drives it, or it is being asked already. That it is asked is no claim
    that it stopped: only its acknowledgement is.
    """
    robot = Robot.objects.filter(key=key_of(robot_id)).first()
    if robot is None:
        raise NoSuchRobot(f"there is no robot {robot_id}")
    operation = RobotOperation.objects.filter(robot_key=robot.key).first()
    if operation is None or operation.session_id is None:
        raise CannotStop(f"{robot.robot_id} is in no session")
    try:
        with transaction.atomic():
            StopRequest.objects.filter(robot_key=robot.key, state__in=StopRequest.OPEN, expires_at__lt=at).update(
                state=StopRequest.State.TIMED_OUT
            )
            request = StopRequest.objects.create(
                robot_key=robot.key,
                robot_id=robot.robot_id,
                session_id=operation.session_id,
                reason=reason,
                asked_by=by,
                asked_at=at,
                expires_at=at + PATIENCE,
            )
            sentence = f"asked {robot.robot_id} to stop its session: {reason}"
            tell(by, "teleop.stop_asked", sentence, request=str(request.pk), session=str(request.session_id))
    except IntegrityError as error:
        raise CannotStop(f"{robot.robot_id} is being asked to stop already") from error
    log.info("stop.asked", robot=robot.robot_id, id=str(request.pk), by=by)
    return request


def state_of(request: StopRequest, now: datetime) -> StopRequest.State:
    """The request's state as it is now: one that nobody answered in time is timed out, whoever writes that down."""
    return StopRequest.State.TIMED_OUT if request.expired_at(now) else StopRequest.State(request.state)
