"""A row of legacy's that cannot be taken over as it is."""

from django.db import models

from heartbeat.models.fields import PlainJSONField


class QuarantinedRow(models.Model):
    """Kept with its reason, looked at again with every reading, never dropped and never a stop."""

    source = models.CharField(max_length=16, choices=[(word, word) for word in ("robots", "fleet", "deployments")])
    name = models.TextField(help_text="the row's id or address, or what else tells it from others")
    reason = models.TextField()
    document = PlainJSONField(null=True, help_text="the row as legacy listed it")
    candidates = models.JSONField(default=list, blank=True)
    first_at = models.DateTimeField()
    tried_at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=1)
    settled_at = models.DateTimeField(null=True, help_text="when it could be taken over, or legacy had it no more")
    settled_because = models.TextField(blank=True)

    class Meta:
        ordering = ["source", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "name"], condition=models.Q(settled_at=None), name="quarantined_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.name}: {self.reason}"
