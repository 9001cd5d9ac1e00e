"""A restore of the fleet's tables after data corruption."""

from datetime import datetime
from typing import Any

from django.db import models

from migration.errors import WrongState


class Restore(models.Model):
    """One restore: from what, step by step with measured times, and what was found afterwards."""

    class Source(models.TextChoices):
        """What the state is derived from."""

        LOG = "log", "the raw heartbeats"
        ARCHIVE = "archive", "the last verified base backup and the archived WAL"

    class State(models.TextChoices):
        """requested → restoring → validated, or failed; a failed one can be run again."""

        REQUESTED = "requested", "requested"
        RESTORING = "restoring", "restoring"
        VALIDATED = "validated", "validated"
        FAILED = "failed", "failed"

    source = models.CharField(max_length=16, choices=Source)
    #: the archive is replayed to this moment: right before the damage. None for the log
    until = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.REQUESTED)
    asked_by = models.CharField(max_length=150)
    reason = models.TextField()
    requested_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    #: [{"step", "seconds", "found"}] in order
    steps = models.JSONField(default=list, blank=True)
    #: schema in which the damaged tables were kept
    set_aside = models.CharField(max_length=64, blank=True)
    failure = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("restore_fleet", "May restore the fleet's tables")]
        constraints = [
            models.UniqueConstraint(
                models.Value(1), condition=models.Q(state__in=["requested", "restoring"]), name="one_restore_at_a_time"
            ),
            models.CheckConstraint(
                condition=~models.Q(source="archive") | models.Q(until__isnull=False),
                name="a_restore_from_the_archive_says_until_when",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="failed") | ~models.Q(failure=""), name="a_failed_restore_says_why"
            ),
        ]

    def __str__(self) -> str:
        return f"Restore {self.pk} from {self.get_source_display()} ({self.get_state_display()})"

    def begin(self, at: datetime) -> None:
        """Somebody took it; one whose worker died is begun anew, from its first step."""
        self._require(self.State.REQUESTED, self.State.RESTORING)
        self.state, self.started_at, self.steps = self.State.RESTORING, at, []

    def note(self, step: str, seconds: float, found: Any) -> None:
        """A step is done."""
        self._require(self.State.RESTORING)
        self.steps.append({"step": step, "seconds": round(seconds, 3), "found": found})

    def validate(self, at: datetime) -> None:
        """Everything that could be checked is right."""
        self._require(self.State.RESTORING)
        self.state, self.ended_at = self.State.VALIDATED, at

    def fail(self, why: str, at: datetime) -> None:
        """It did not work out, and says why."""
        self._require(self.State.REQUESTED, self.State.RESTORING)
        self.state, self.failure, self.ended_at = self.State.FAILED, why, at

    def _require(self, *states: "Restore.State") -> None:
        if self.state not in states:
            raise WrongState(f"restore {self.pk} is {self.get_state_display()}")
