"""A robot that stays on one side whatever its bucket says."""

from django.db import models


class Pin(models.Model):
    """One robot, one side, and who put it there."""

    #: the id with its bytes lowered, as the door compares it
    key = models.CharField(max_length=128, unique=True)
    side = models.CharField(max_length=8, choices=[("new", "new"), ("legacy", "legacy")])
    reason = models.TextField()
    pinned_by = models.CharField(max_length=150)
    pinned_at = models.DateTimeField()

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return f"{self.key} → {self.side}"
