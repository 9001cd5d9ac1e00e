"""Silences of one site within a short span, and what is to be told of them."""

from django.db import models

from heartbeat.models.liveness import LEVELS


class Incident(models.Model):
    """Robots of one site that fell silent together. Opens, may get worse, and is over when all are back."""

    site = models.TextField(default="", blank=True, help_text="empty: robots that name no site")
    level = models.TextField(choices=LEVELS[1:])
    opened_at = models.DateTimeField(help_text="when the first silence became true")
    last_joined_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    robots = models.PositiveIntegerField(help_text="how many were ever in it")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["site"], name="open_incidents", condition=models.Q(closed_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"incident {self.pk} at {self.site or 'no site'}: {self.level}"


class IncidentMember(models.Model):
    """A robot in an incident; `left_at` when it was back, and how often it fell while the incident was open."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="members")
    robot_key = models.BinaryField()
    robot_id = models.TextField()
    level = models.TextField(choices=LEVELS[1:])
    joined_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True)
    falls = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incident", "robot_key"], name="once_in_an_incident")]

    def __str__(self) -> str:
        return f"{self.robot_id} in incident {self.incident_id}"


class Route(models.TextChoices):
    """Who wants to hear what: `late` may go elsewhere than `offline`."""

    LATE = "late", "late"
    OFFLINE = "offline", "offline"
    RECOVERED = "recovered", "recovered"


class Notice(models.Model):
    """One thing to tell, written with the change it tells of; whoever delivers it sets `sent_at`."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notices")
    route = models.TextField(choices=Route)
    text = models.TextField()
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["incident", "route"], name="one_notice_a_route")]
        indexes = [models.Index(fields=["id"], name="unsent_notices", condition=models.Q(sent_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.route}: {self.text}"
