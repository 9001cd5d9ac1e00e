"""Who is present, when nothing moves, and what external checks answered."""

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q

from migration.rules.freezing import Freeze


class Presence(models.Model):
    """When a person's page was last in front of them."""

    person = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="presence")
    at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.person} at {self.at:%H:%M:%S} UTC"


class FreezeWindow(models.Model):
    """When nothing moves forward: once, or daily around a site's change of activity. Ended, never deleted."""

    reason = models.TextField()
    site = models.CharField(max_length=200, blank=True)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    daily_at = models.TimeField(null=True, blank=True)
    before_minutes = models.PositiveSmallIntegerField(default=30)
    after_minutes = models.PositiveSmallIntegerField(default=30)
    time_zone = models.CharField(max_length=64, default="UTC")
    made_by = models.CharField(max_length=150)
    made_at = models.DateTimeField()
    lifted_by = models.CharField(max_length=150, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("freeze_migration", "May freeze the migration and lift a freeze")]
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="a_freeze_says_why"),
            models.CheckConstraint(
                condition=Q(daily_at=None, starts_at__lt=models.F("ends_at"))
                | Q(starts_at=None, ends_at=None) & ~Q(daily_at=None),
                name="a_freeze_is_once_or_daily",
            ),
        ]

    def __str__(self) -> str:
        return self.reason

    @property
    def freeze(self) -> Freeze:
        """As the rule sees it."""
        return Freeze(
            reason=self.reason,
            site=self.site,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            daily_at=self.daily_at,
            before=timedelta(minutes=self.before_minutes),
            after=timedelta(minutes=self.after_minutes),
            time_zone=self.time_zone,
        )


class HookAnswer(models.Model):
    """What an external check said about a step."""

    run = models.ForeignKey("migration.PhaseRun", on_delete=models.CASCADE, related_name="hook_answers")
    shift = models.ForeignKey(
        "migration.TrafficShift", on_delete=models.CASCADE, null=True, blank=True, related_name="hook_answers"
    )
    name = models.CharField(max_length=64)
    moment = models.CharField(max_length=16)
    verdict = models.CharField(max_length=16)
    sentence = models.TextField()
    seconds = models.FloatField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} {self.moment}: {self.verdict}"
