"""A rehearsal of the way back: one robot goes to legacy and forward again."""

from datetime import datetime

from django.db import models

from migration.errors import WrongState


class Rehearsal(models.Model):
    """One rehearsal, with its measured times. It is under way until it is proven or failed."""

    class State(models.TextChoices):
        """Out and back again, or not."""

        UNDER_WAY = "under_way", "under way"
        PROVEN = "proven", "proven"
        FAILED = "failed", "failed"

    class Way(models.TextChoices):
        """What was moved: as much as the phase allows."""

        ROBOT = "robot", "a robot of the fleet"
        PROBE = "probe", "an id of the door's own"
        ROUTE = "route", "the route alone"

    #: empty where only the route was written
    robot_id = models.CharField(max_length=128, blank=True)
    way = models.CharField(max_length=16, choices=Way)
    phase = models.CharField(max_length=32)
    state = models.CharField(max_length=16, choices=State, default=State.UNDER_WAY)
    asked_by = models.CharField(max_length=150)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    #: from the decision until every proxy acknowledged and every probe obeyed
    back_seconds = models.FloatField(null=True, blank=True)
    forward_seconds = models.FloatField(null=True, blank=True)
    #: from the decision until the robot's own heartbeat was answered by legacy; None if it was not heard in time
    heard_seconds = models.FloatField(null=True, blank=True)
    failure = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("rehearse_rollback", "May rehearse the way back")]
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=models.Q(state="under_way"), name="one_rehearsal_at_a_time"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="proven")
                | models.Q(back_seconds__isnull=False, forward_seconds__isnull=False),
                name="a_proven_rehearsal_was_measured",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="failed") | ~models.Q(failure=""), name="a_failed_rehearsal_says_why"
            ),
        ]

    def __str__(self) -> str:
        return f"Rehearsal {self.pk} ({self.get_state_display()})"

    def prove(self, at: datetime) -> None:
        """Both ways were confirmed."""
        self._require_under_way()
        self.state, self.ended_at = self.State.PROVEN, at

    def fail(self, why: str, at: datetime) -> None:
        """A way was not confirmed, and says why."""
        self._require_under_way()
        self.state, self.failure, self.ended_at = self.State.FAILED, why, at

    def _require_under_way(self) -> None:
        if self.state != self.State.UNDER_WAY:
            raise WrongState(f"rehearsal {self.pk} is {self.get_state_display()}, not under way")
