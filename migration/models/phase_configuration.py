"""What people set otherwise than DESIGN.md's defaults, phase by phase."""

from django.db import models

from migration.rules.phases import PHASES
from migration.rules.settings import PhaseSettings, settings_of


class PhaseConfiguration(models.Model):
    """The changed settings of one phase. A phase without a row has the defaults."""

    slug = models.CharField(max_length=32, unique=True, choices=[(phase.slug, phase.name) for phase in PHASES])
    #: only what differs from the defaults, see `migration.rules.settings.PhaseSettings`
    changed = models.JSONField(default=dict)
    revision = models.PositiveIntegerField(default=0)
    changed_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        permissions = [("configure_phase", "May change the settings of a phase")]

    def __str__(self) -> str:
        return f"{self.slug} r{self.revision}"

    @property
    def settings(self) -> PhaseSettings:
        """The settings that hold."""
        return settings_of(self.slug, self.changed)
