"""When heartbeats could be stored, and when not. Written by `heartbeat_say_hearing()`, which ingest calls."""

from django.db import models


class Hearing(models.Model):
    """Everything that a listener received until `until` is stored. One row, renewed several times a second."""

    name = models.TextField(primary_key=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} heard until {self.until.isoformat()}"


class Deafness(models.Model):
    """A time in which no heartbeat could be stored: silence in it counts for nothing."""

    began_at = models.DateTimeField()
    ended_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deafness"
        constraints = [
            models.CheckConstraint(condition=models.Q(ended_at__gt=models.F("began_at")), name="deaf_for_a_while")
        ]

    def __str__(self) -> str:
        return f"deaf from {self.began_at.isoformat()} to {self.ended_at.isoformat()}"
