"""Something an operator has to know about."""

from datetime import datetime

from django.db import models
from django.db.models import Q

from migration.errors import WrongState


class Alert(models.Model):
    """Open until what it tells of is over; one open alert per name. Escalated until somebody acknowledges it."""

    class Severity(models.TextChoices):
        """A critical one keeps the Stability gate from passing."""

        WARNING = "warning", "warning"
        CRITICAL = "critical", "critical"

    class Source(models.TextChoices):
        """Who noticed."""

        OWN = "own", "the control plane"
        ALERTMANAGER = "alertmanager", "Alertmanager"

    #: of one that Alertmanager sent: its alertname and its fingerprint, so that each set of labels is one alert
    name = models.CharField(max_length=300)
    severity = models.CharField(max_length=16, choices=Severity)
    sentence = models.TextField()
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    source = models.CharField(max_length=16, choices=Source, default=Source.OWN)
    #: alerts of one group are one matter: Alertmanager's group key, or the first word of the name
    group = models.TextField(blank=True)
    labels = models.JSONField(default=dict, blank=True)
    #: where it says what to do about it: a web address, or a file of the documentation
    runbook = models.TextField(blank=True)
    #: when it began to be true, as Alertmanager says; None for our own, which begin when they are opened
    began_at = models.DateTimeField(null=True, blank=True)
    #: what was done by itself because of it, a sentence
    outcome = models.TextField(blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    comment = models.TextField(blank=True)

    class Meta:
        ordering = ["-opened_at"]
        permissions = [("acknowledge_alert", "May acknowledge alerts")]
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(closed_at=None), name="one_open_alert_per_name"),
            models.CheckConstraint(
                condition=Q(acknowledged_at=None, acknowledged_by="")
                | Q(acknowledged_at__isnull=False) & ~Q(acknowledged_by=""),
                name="an_acknowledged_alert_says_by_whom",
            ),
        ]

    def __str__(self) -> str:
        return self.sentence

    @property
    def title(self) -> str:
        """The name without the fingerprint."""
        return str(self.labels.get("alertname") or self.name)

    @property
    def has_runbook_page(self) -> bool:
        """Whether the runbook is an address that a browser can open."""
        return self.runbook.startswith(("http://", "https://"))

    def acknowledge(self, by: str, at: datetime, comment: str = "") -> None:
        """Somebody takes care of it. Once: the first to say so is the one that others can ask."""
        if self.closed_at is not None:
            raise WrongState("it is over already")
        if self.acknowledged_at is not None:
            raise WrongState(f"{self.acknowledged_by} has acknowledged it already")
        self.acknowledged_at, self.acknowledged_by, self.comment = at, by, comment


class Escalation(models.Model):
    """One step of an alert's escalation that was taken: who was told, and when."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="escalations")
    #: place in the escalation path, from 0
    step = models.PositiveSmallIntegerField()
    who = models.CharField(max_length=64)
    address = models.TextField(blank=True)
    told_at = models.DateTimeField()

    class Meta:
        ordering = ["alert", "step"]
        constraints = [models.UniqueConstraint(fields=["alert", "step"], name="each_step_of_an_escalation_once")]

    def __str__(self) -> str:
        return f"{self.who} told of alert {self.alert_id}"
