"""A cohort whose legacy path is closed."""

from datetime import datetime

from django.db import models
from django.db.models import Q

from heartbeat.rules.cohorts import Cohort


class LegacyClosure(models.Model):
    """Robots of this kind, at this site, with this tag (what is given) must speak v2. Lifted while v2 is refused."""

    kind = models.TextField(default="", db_default="", blank=True)
    site = models.TextField(default="", db_default="", blank=True)
    tag = models.TextField(default="", db_default="", blank=True)
    reason = models.TextField()
    closed_at = models.DateTimeField()
    closed_by = models.TextField()
    opened_at = models.DateTimeField(null=True, help_text="none: it is closed")
    opened_by = models.TextField(default="", db_default="", blank=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("close_legacy_path", "May close and open the legacy path for a cohort")]
        constraints = [
            models.CheckConstraint(condition=Q(kind__gt="") | Q(site__gt="") | Q(tag__gt=""), name="closes_a_cohort"),
            models.UniqueConstraint(
                fields=["kind", "site", "tag"], condition=Q(opened_at=None), name="one_closure_a_cohort"
            ),
        ]

    def __str__(self) -> str:
        return f"robots {self.cohort}"

    @property
    def cohort(self) -> Cohort:
        """Whom it closes the legacy path for."""
        return Cohort(self.kind, self.site, self.tag)

    def open(self, by: str, at: datetime) -> bool:
        """Open the path again; False when that was done before, which stays as it was."""
        if self.opened_at is not None:
            return False
        self.opened_at, self.opened_by = at, by
        return True
