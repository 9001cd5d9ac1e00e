"""How each robot stands now."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from teleop.rules.signals import Basis, Driver
from teleop.rules.standing import State as Stand


class RobotOperation(models.Model):
    """Written by the watcher alone. `standing` is what it needs to go on after a restart."""

    class State(models.TextChoices):
        """As the rules have it."""

        UNKNOWN = Stand.UNKNOWN.value, "unknown"
        IDLE = Stand.IDLE.value, "idle"
        HOST_READY = Stand.HOST_READY.value, "host ready"
        ACTIVE = Stand.ACTIVE.value, "active"
        LOST = Stand.LOST.value, "lost"

    robot_key = models.BinaryField(primary_key=True)
    robot_id = models.TextField(db_index=True)
    kind = models.TextField(default="", blank=True)
    site = models.TextField(default="", blank=True)
    state = models.TextField(choices=State)
    since = models.DateTimeField(help_text="backdated to the evidence")
    basis = models.TextField(choices=[(each.value, each.value) for each in Basis])
    confidence = models.FloatField(help_text="0.5–1, in whether somebody drives")
    because = models.TextField(help_text="the sentence that decided")
    evidence = models.JSONField(default=list, blank=True)
    heard_at = models.DateTimeField(null=True, help_text="when its latest report arrived")
    session_id = models.UUIDField(null=True, blank=True)
    driver = models.TextField(choices=[(each.value, each.value) for each in Driver], default="unknown")
    operators = ArrayField(models.TextField(), default=list, blank=True)
    contested = models.BooleanField(default=False)
    latency_ms = models.FloatField(null=True, blank=True)
    fps = models.FloatField(null=True, blank=True)
    loss_percent = models.FloatField(null=True, blank=True)
    rate_hz = models.FloatField(null=True, blank=True, help_text="commands per second")
    legacy_claims = models.BooleanField(
        null=True, blank=True, help_text="what legacy would conclude: its service is active"
    )
    legacy_told_at = models.DateTimeField(null=True, blank=True, help_text="when the robot last told of the service")
    standing = models.JSONField(default=dict, blank=True)
    updated_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["state"], name="operation_by_state")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["active", "lost"], session_id__isnull=False)
                | (~models.Q(state__in=["active", "lost"]) & models.Q(session_id__isnull=True)),
                name="operated_within_a_session",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.robot_id}: {self.state}"
