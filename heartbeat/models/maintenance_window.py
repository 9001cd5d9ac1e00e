"""Planned silence."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from heartbeat.rules import windows


class MaintenanceWindow(models.Model):
    """From when until when nobody is alarmed by whose silence, and why. Never deleted: history needs it.

    Without `ends_at` it is a pause, which only `heartbeat.watching.maintenance.end` lifts.
    """

    class Scope(models.TextChoices):
        EVERYTHING = windows.Scope.EVERYTHING.value, "everything"
        SITE = windows.Scope.SITE.value, "a site"
        KIND = windows.Scope.KIND.value, "a kind"
        TAG = windows.Scope.TAG.value, "a tag"
        ROBOTS = windows.Scope.ROBOTS.value, "named robots"

    scope = models.TextField(choices=Scope)
    value = models.TextField(default="", blank=True, help_text="the site, kind or tag")
    robots = ArrayField(models.TextField(), default=list, blank=True, help_text="ids, for named robots")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True, help_text="none: until somebody ends it")
    reason = models.TextField()
    created_by = models.TextField()
    created_at = models.DateTimeField()
    ended_by = models.TextField(default="", blank=True, help_text="who ended it before its time")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gte=F("starts_at")), name="ends_later"
            ),
            models.CheckConstraint(
                condition=Q(scope="everything", value="", robots=[])
                | (Q(scope__in=["site", "kind", "tag"], robots=[]) & ~Q(value=""))
                | (Q(scope="robots", value="") & ~Q(robots=[])),
                name="scope_names_whom",
            ),
        ]

    def __str__(self) -> str:
        return f"window {self.pk}: {self.reason}"
