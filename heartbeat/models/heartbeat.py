"""The raw log: every heartbeat and update check that was acknowledged, once."""

from django.db import models

from heartbeat.models.fields import PlainJSONField
from heartbeat.models.robot import Protocol, Role, Side


class Call(models.TextChoices):
    """What a robot called."""

    STATUS = "status", "POST /api/robot/status"
    CHECK_UPDATE = "check_update", "GET /api/check-update"
    HEARTBEAT = "heartbeat", "POST /api/v2/heartbeat"


class Heartbeat(models.Model):
    """One acknowledged call. Append-only but for `role`, which a second arrival may raise from shadow.

    Robots and legacy rows are derived from this table and can be rebuilt from it.
    """

    request_id = models.UUIDField(
        unique=True, help_text="made by the robots' door; identical for primary, copy and retry"
    )
    robot_key = models.BinaryField()
    robot_id = models.TextField()
    received_at = models.DateTimeField()
    call = models.TextField(choices=Call)
    protocol = models.TextField(choices=Protocol)
    role = models.TextField(choices=Role)
    side = models.TextField(choices=Side, default=Side.UNMARKED, blank=True)
    address = models.TextField(default="", blank=True)

    deployment_id = models.TextField(null=True)  # noqa: DJ001 - null and "" are two answers in legacy's contract
    version = models.TextField(null=True)  # noqa: DJ001
    status = models.TextField(null=True)  # noqa: DJ001
    message = models.TextField(null=True)  # noqa: DJ001
    health = PlainJSONField(null=True)
    current_version = models.TextField(null=True)  # noqa: DJ001
    group = models.TextField(null=True)  # noqa: DJ001
    exact = PlainJSONField(null=True, help_text="fields that a text column cannot hold (a NUL in them)")

    boot_id = models.TextField(null=True)  # noqa: DJ001
    sequence = models.BigIntegerField(null=True)
    sent_at = models.DateTimeField(null=True, help_text="by the robot's own clock")
    payload = PlainJSONField(null=True, help_text="what a v2 heartbeat said")

    class Meta:
        indexes = [models.Index(fields=["robot_key", "-received_at"], name="heartbeats_of_a_robot")]
        constraints = [
            models.CheckConstraint(condition=models.Q(call__in=Call.values), name="known_call"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="known_role"),
        ]

    def __str__(self) -> str:
        return f"{self.call} of {self.robot_id} at {self.received_at.isoformat()}"
