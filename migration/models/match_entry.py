"""Which robot an address of legacy's fleet list is, and what legacy believes of its operation."""

from django.db import models

from migration.rules.matching import How


class MatchEntry(models.Model):
    """One address. `robot_id` is empty while nobody knows; a match by hand is never changed by sync."""

    address = models.CharField(max_length=64, unique=True)
    robot_key = models.BinaryField(null=True)
    robot_id = models.TextField(blank=True)
    how = models.CharField(max_length=24, blank=True, choices=[(how.value, how.value) for how in How])
    reason = models.TextField()
    matched_by = models.CharField(max_length=150, blank=True, help_text="who matched it by hand")
    hostname = models.TextField(blank=True)
    kind = models.CharField(max_length=16, blank=True)
    #: legacy's own belief, minutes old, and "operated" when the host merely runs: shown, never taken for a fact
    teleop_host = models.BooleanField(null=True)
    teleop_operation = models.BooleanField(null=True)
    stages = models.JSONField(default=dict, blank=True)
    discovered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["address"]
        verbose_name_plural = "match entries"

    def __str__(self) -> str:
        return f"{self.address} → {self.robot_id or '?'}"
