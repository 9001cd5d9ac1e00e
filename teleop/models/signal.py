"""Signals that robots send between their heartbeats, by HTTP or on their socket."""

from django.db import models

from heartbeat.models.fields import PlainJSONField


class Signal(models.Model):
    """One report of signals. Written by ingest alone, which numbers them in the order of commits.

    The table is partitioned by day of `received_at`, and days are dropped whole (`teleop.keeping`).
    """

    id = models.BigAutoField(primary_key=True)
    robot_key = models.BinaryField()
    robot_id = models.TextField()
    received_at = models.DateTimeField(help_text="by this system's clock")
    boot_id = models.TextField(default="", blank=True)
    document = PlainJSONField(help_text="as the member `teleop` of a heartbeat")

    def __str__(self) -> str:
        return f"{self.robot_id} at {self.received_at.isoformat()}"
