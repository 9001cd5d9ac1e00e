"""Something an operator has to know about."""

from django.db import models


class Alert(models.Model):
    """Open until what it tells of is over; one open alert per name."""

    class Severity(models.TextChoices):
        """A critical one keeps the Stability gate from passing."""

        WARNING = "warning", "warning"
        CRITICAL = "critical", "critical"

    name = models.CharField(max_length=64)
    severity = models.CharField(max_length=16, choices=Severity)
    sentence = models.TextField()
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=models.Q(closed_at=None), name="one_open_alert_per_name")
        ]

    def __str__(self) -> str:
        return self.sentence
