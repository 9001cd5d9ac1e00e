"""What a robot said of itself last."""

from typing import Any

from heartbeat.models import Call, Heartbeat, Robot


def latest_report(robot: Robot) -> dict[str, Any] | None:
    """Its newest v2 heartbeat that came in time, put together as it was said; None for a robot that speaks no v2."""
    if robot.last_v2_at is None:
        return None
    told = Heartbeat.objects.of_robot(robot.key).filter(call=Call.HEARTBEAT, at=None)
    newest = told.select_related("boot", "profile").order_by("-received_at").first()
    return newest.as_reported() if newest else None
