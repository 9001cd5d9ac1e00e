"""Ports and times of robots, per kind and site: data that an operator edits."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from teleop.rules.layouts import Layout


class RobotLayout(models.Model):
    """Empty `kind` or `site` holds for all. The layout that names more of them wins."""

    kind = models.TextField(blank=True, default="")
    site = models.TextField(blank=True, default="")
    command_ports = ArrayField(models.PositiveIntegerField(), default=list, blank=True)
    observation_ports = ArrayField(models.PositiveIntegerField(), default=list, blank=True)
    command_timeout_ms = models.PositiveIntegerField(
        default=500, help_text="without a command for this long the robot is not operated"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "site"], name="one_layout_a_kind_and_site")]

    def __str__(self) -> str:
        return f"{self.kind or 'every kind'} at {self.site or 'every site'}"

    def as_rule(self) -> Layout:
        """As the detectors take it."""
        return Layout(
            kind=self.kind,
            site=self.site,
            command_ports=frozenset(self.command_ports),
            observation_ports=frozenset(self.observation_ports),
            command_timeout=self.command_timeout_ms / 1000,
        )
