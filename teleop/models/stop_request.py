"""An operator's request to a robot to end its session."""

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q


class StopRequest(models.Model):
    """Never a motion command: the robot is asked, and says itself what it did.

    Ingest moves it from `asked` to `sent` and on to the robot's answer; whoever looks after `expires_at` finds it
    timed out. Each step is a conditional update, so that two writers cannot both take it.
    """

    class State(models.TextChoices):
        """An open request is `asked` or `sent`."""

        ASKED = "asked", "asked"
        SENT = "sent", "sent"
        ACKNOWLEDGED = "acknowledged", "acknowledged"
        REFUSED = "refused", "refused by the robot"
        TIMED_OUT = "timed_out", "timed out"

    OPEN = (State.ASKED, State.SENT)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    robot_key = models.BinaryField()
    robot_id = models.TextField()
    session_id = models.UUIDField(null=True, blank=True)
    state = models.TextField(choices=State, default=State.ASKED)
    reason = models.TextField()
    asked_by = models.TextField()
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    detail = models.TextField(default="", blank=True, help_text="what the robot said")

    class Meta:
        indexes = [models.Index(fields=["robot_key", "-asked_at"], name="stop_by_robot")]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["acknowledged", "refused"], answered_at__isnull=False)
                | (~Q(state__in=["acknowledged", "refused"]) & Q(answered_at__isnull=True)),
                name="answered_if_it_answered",
            ),
            models.UniqueConstraint(
                fields=["robot_key"], condition=Q(state__in=["asked", "sent"]), name="one_open_stop_a_robot"
            ),
        ]

    def __str__(self) -> str:
        return f"stop {self.robot_id}: {self.state}"

    def expired_at(self, now: datetime) -> bool:
        """Whether nobody answered in time."""
        return self.state in self.OPEN and now > self.expires_at
