"""How far the watcher of operation has read, stored with what it concluded."""

from django.db import models


class FollowerCursor(models.Model):
    """One row: the next watcher goes on there."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    log_at = models.DateTimeField(help_text="heartbeats received until then are taken in")
    signal_id = models.BigIntegerField(help_text="the latest signal that is taken in")
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_follower_cursor")]

    def __str__(self) -> str:
        return f"{self.log_at.isoformat()}, signal {self.signal_id}"
