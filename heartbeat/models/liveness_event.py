"""Every change of a robot's liveness, once and in order."""

from django.db import models

from heartbeat.models.liveness import STATES


class LivenessEvent(models.Model):
    """A robot went from one state to another. Append-only."""

    robot_key = models.BinaryField()
    robot_id = models.TextField()
    number = models.BigIntegerField(help_text="1, 2, 3 … for each robot")
    from_state = models.TextField(choices=STATES)
    to_state = models.TextField(choices=STATES)
    became_at = models.DateTimeField(help_text="when it became true")
    noticed_at = models.DateTimeField(help_text="when the watcher noticed")
    incident = models.ForeignKey("heartbeat.Incident", null=True, on_delete=models.PROTECT, related_name="events")
    window = models.ForeignKey("heartbeat.MaintenanceWindow", null=True, on_delete=models.PROTECT, related_name="+")
    damped = models.BooleanField(default=False, help_text="the robot flaps: counted, and nobody told")
    reason = models.TextField(default="", blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["noticed_at"], name="events_by_noticing")]
        constraints = [models.UniqueConstraint(fields=["robot_key", "number"], name="one_event_a_number")]

    def __str__(self) -> str:
        return f"{self.robot_id}: {self.from_state} → {self.to_state}"
