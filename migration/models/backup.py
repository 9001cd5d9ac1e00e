"""A copy that one could go back to, and whether anybody has tried."""

from datetime import datetime
from pathlib import Path

from django.db import models

from migration.errors import WrongState


class Backup(models.Model):
    """A dump of the database or the archive of legacy's last state. Only one that was read back is `verified`."""

    class Kind(models.TextChoices):
        """What was copied."""

        DATABASE = "database", "database"
        LEGACY = "legacy", "legacy"

    class State(models.TextChoices):
        """made: the file is there, nobody has read it back. removed: its time was over, the row stays."""

        MAKING = "making", "making"
        MADE = "made", "made"
        VERIFIED = "verified", "verified"
        FAILED = "failed", "failed"
        REMOVED = "removed", "removed"

    kind = models.CharField(max_length=16, choices=Kind)
    state = models.CharField(max_length=16, choices=State, default=State.MAKING)
    reason = models.CharField(max_length=200)
    asked_by = models.CharField(max_length=150)
    #: the phase run it was made in; a number and no foreign key, so that it outlives what it saved
    run = models.PositiveBigIntegerField(null=True, blank=True)
    path = models.CharField(max_length=500, blank=True)
    size_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    #: database: {"tables": {name: {"rows", "digest"}}, "sequences": {name: value}} of the snapshot;
    #: legacy: {call: {"status", "sha256", "bytes"}}
    contents = models.JSONField(default=dict, blank=True)
    #: what a setting left out, by name
    left_out = models.JSONField(default=list, blank=True)
    #: the moment that the copy shows
    begun_at = models.DateTimeField()
    made_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    failure = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("back_up", "May make and verify backups")]
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=models.Q(state="making"), name="one_backup_of_a_kind_is_being_made"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="verified") | (models.Q(verified_at__isnull=False) & ~models.Q(sha256="")),
                name="a_verified_backup_was_read_back",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="failed") | ~models.Q(failure=""), name="a_failed_backup_says_why"
            ),
        ]

    def __str__(self) -> str:
        return f"Backup {self.pk} of {self.begun_at:%d %b %H:%M:%S} UTC ({self.get_state_display()})"

    @property
    def file(self) -> Path:
        """Where it lies."""
        return Path(self.path)

    @property
    def rows(self) -> int | None:
        """How many rows the dump holds; None for what has no tables or is not made yet."""
        if self.kind != self.Kind.DATABASE or "tables" not in self.contents:
            return None
        return sum(int(table["rows"]) for table in self.contents["tables"].values())

    @property
    def made_seconds(self) -> float | None:
        """How long it took to make."""
        return (self.made_at - self.begun_at).total_seconds() if self.made_at else None

    @property
    def verified_seconds(self) -> float | None:
        """How long after it was made it had been restored and compared."""
        return (self.verified_at - self.made_at).total_seconds() if self.verified_at and self.made_at else None

    def made(self, at: datetime, *, size_bytes: int, sha256: str) -> None:
        """The file is complete and on disk."""
        self._require(self.State.MAKING)
        self.state, self.made_at, self.size_bytes, self.sha256 = self.State.MADE, at, size_bytes, sha256

    def verify(self, at: datetime) -> None:
        """It was read back and is what was copied. May be proven again."""
        self._require(self.State.MADE, self.State.VERIFIED)
        self.state, self.verified_at = self.State.VERIFIED, at

    def fail(self, why: str) -> None:
        """It cannot be gone back to."""
        self._require(self.State.MAKING, self.State.MADE, self.State.VERIFIED)
        self.state, self.failure = self.State.FAILED, why

    def remove(self, at: datetime) -> None:
        """Its file was deleted."""
        self._require(self.State.MADE, self.State.VERIFIED, self.State.FAILED)
        self.state, self.removed_at = self.State.REMOVED, at

    def _require(self, *states: "Backup.State") -> None:
        if self.state not in states:
            raise WrongState(f"backup {self.pk} is {self.get_state_display()}")
