"""Where sync stands. Only the process that holds sync's lease writes this row."""

from django.db import models

#: the one row of `SyncState` and of `SyncTuning`
THE_SYNC = 1


class SyncState(models.Model):
    """What the latest looks found, both ways, and totals since the beginning."""

    at = models.DateTimeField(help_text="the latest pass")
    contract = models.CharField(max_length=8, blank=True, help_text="which of legacy's two contracts answers")
    legacy_read_at = models.DateTimeField(null=True, help_text="when the latest good reading of legacy began")
    legacy_rows = models.PositiveIntegerField(default=0)
    legacy_silent_since = models.DateTimeField(null=True)
    reading_seconds = models.FloatField(null=True)
    throttled_by = models.TextField(blank=True, help_text="what holds sync back now; empty: nothing")

    pending_forward = models.PositiveIntegerField(default=0)
    oldest_forward_at = models.DateTimeField(null=True, help_text="of the oldest change that new lacks")
    pending_back = models.PositiveIntegerField(default=0)
    oldest_back_at = models.DateTimeField(null=True, help_text="of the oldest change that legacy lacks")
    looked_back_at = models.DateTimeField(null=True)

    calls = models.BigIntegerField(default=0, help_text="made to legacy")
    taken_over = models.BigIntegerField(default=0)
    echoes = models.BigIntegerField(default=0, help_text="rows that said what new had told")
    kept = models.BigIntegerField(default=0, help_text="rows of robots that new owns, left as they were")
    replayed = models.BigIntegerField(default=0)
    not_replayed = models.BigIntegerField(default=0, help_text="legacy refused them or did not take them")

    lost_memory_at = models.DateTimeField(null=True, help_text="when legacy was last seen without its rows")
    lost_memory_rows = models.PositiveIntegerField(default=0)
    absent = models.JSONField(default=list, blank=True, help_text="silent robots that legacy does not have, by name")
    absent_count = models.PositiveIntegerField(default=0)
    unsayable = models.JSONField(default=list, blank=True, help_text="deployments that legacy's API cannot express")

    class Meta:
        permissions = [("sync_rows", "May start, pause and tune sync, and match addresses with robots")]
        constraints = [models.CheckConstraint(condition=models.Q(pk=THE_SYNC), name="one_sync")]

    def __str__(self) -> str:
        return f"sync at {self.at:%d %b %H:%M:%S} UTC"


class SyncTuning(models.Model):
    """How much sync may ask of legacy; changed by operators while it runs."""

    interval_seconds = models.FloatField(default=0.5)
    calls_per_second = models.FloatField(default=500.0)
    batch_size = models.PositiveIntegerField(default=500)
    paused = models.BooleanField(default=False)
    changed_by = models.CharField(max_length=150, blank=True)
    changed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=THE_SYNC), name="one_sync_tuning"),
            models.CheckConstraint(
                condition=models.Q(interval_seconds__gt=0, calls_per_second__gt=0, batch_size__gt=0),
                name="sync_is_tuned_to_something",
            ),
        ]

    def __str__(self) -> str:
        return "paused" if self.paused else f"every {self.interval_seconds:g} s, {self.calls_per_second:g} calls/s"
