"""How far a check of every row has got, so that one that was stopped goes on where it was."""

from django.db import models


class IntegrityCheck(models.Model):
    """One `data_integrity_check`. Buckets before `place` are done; what differed in them is in the discrepancies."""

    class State(models.TextChoices):
        """A stopped one can be resumed; a running one whose process was killed can too."""

        RUNNING = "running", "running"
        STOPPED = "stopped", "stopped"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    state = models.CharField(max_length=16, choices=State, default=State.RUNNING)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    place = models.PositiveIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)
    different = models.PositiveIntegerField(default=0)
    seconds = models.FloatField(default=0.0)
    failure = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Check of {self.started_at:%d %b %H:%M:%S} UTC ({self.get_state_display()})"
