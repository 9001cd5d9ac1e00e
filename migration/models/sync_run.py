"""One full sync: every row of legacy's looked at again, from the first to the last."""

from datetime import datetime, timedelta

from django.db import models

from migration.errors import WrongState


class SyncRun(models.Model):
    """Its progress is stored with every batch, so whoever takes it up after a kill goes on behind `cursor`."""

    class State(models.TextChoices):
        """running → done, or failed."""

        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    state = models.CharField(max_length=8, choices=State, default=State.RUNNING)
    asked_by = models.CharField(max_length=150)
    started_at = models.DateTimeField()
    progress_at = models.DateTimeField(help_text="the latest batch; an old one has lost its worker")
    ended_at = models.DateTimeField(null=True)
    rows = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    taken_over = models.PositiveIntegerField(default=0)
    quarantined = models.PositiveIntegerField(default=0)
    cursor = models.BinaryField(null=True, help_text="key of the last row that is done; rows are taken in its order")
    resumed = models.PositiveSmallIntegerField(default=0)
    failure = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["state"], condition=models.Q(state="running"), name="one_sync_run"),
            models.CheckConstraint(
                condition=models.Q(state="running", ended_at=None)
                | ~models.Q(state="running") & ~models.Q(ended_at=None),
                name="a_sync_run_that_ended_says_when",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="failed") | ~models.Q(failure=""), name="a_failed_sync_run_says_why"
            ),
        ]

    def __str__(self) -> str:
        return f"Sync run {self.pk}: {self.done:,} of {self.rows:,} ({self.get_state_display()})"

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return ((self.ended_at or self.progress_at) - self.started_at).total_seconds()

    @property
    def eta_seconds(self) -> float | None:
        """How long the rest takes at the rate so far; None when it is over or nothing is known yet."""
        if self.state != self.State.RUNNING or not self.done or not self.rows:
            return None
        return self.seconds / self.done * max(self.rows - self.done, 0)

    def resume(self, at: datetime, *, abandoned_after: timedelta) -> None:
        """Go on where somebody else stopped. Raises `WrongState` while that one still makes progress."""
        self._require_running()
        if at - self.progress_at < abandoned_after:
            raise WrongState(f"sync run {self.pk} is being worked on")
        self.resumed, self.progress_at = self.resumed + 1, at

    def advance(self, *, rows: int, cursor: bytes, done: int, taken_over: int, quarantined: int, at: datetime) -> None:
        """A batch is stored."""
        self._require_running()
        self.rows, self.cursor, self.progress_at = rows, cursor, at
        self.done += done
        self.taken_over += taken_over
        self.quarantined += quarantined

    def complete(self, at: datetime) -> None:
        """Every row was looked at."""
        self._require_running()
        self.state, self.ended_at, self.progress_at = self.State.DONE, at, at

    def fail(self, why: str, at: datetime) -> None:
        """It cannot go on, and says why."""
        self._require_running()
        self.state, self.failure, self.ended_at = self.State.FAILED, why, at

    def _require_running(self) -> None:
        if self.state != self.State.RUNNING:
            raise WrongState(f"sync run {self.pk} is {self.get_state_display()}, not running")
