"""A deployment that was made at `new` and told to legacy, which gave it an id of its own."""

from datetime import datetime

from django.db import models


class DeploymentMapping(models.Model):
    """Mapped once. Written before legacy is asked, so that after a kill nobody asks it twice."""

    new_id = models.TextField(unique=True)
    target_id = models.TextField(help_text="the deployment that legacy was asked to go back to")
    legacy_id = models.TextField(blank=True, help_text="empty: asked, and not known to be made yet")
    asked_at = models.DateTimeField()
    mapped_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["legacy_id"], condition=~models.Q(legacy_id=""), name="one_legacy_id_once")
        ]

    def __str__(self) -> str:
        return f"{self.new_id} → {self.legacy_id or '?'}"


class HandOver(models.Model):
    """A deployment that legacy's API cannot express, handed to the configured command; tried until legacy has it."""

    new_id = models.TextField(unique=True)
    attempts = models.PositiveIntegerField(default=0)
    tried_at = models.DateTimeField(null=True)
    failure = models.TextField(blank=True, help_text="of the latest attempt; empty once legacy has it")
    done_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.new_id}: {self.failure or 'handed over'}"

    def failed(self, at: datetime, why: str) -> None:
        """One more attempt that did not help."""
        self.attempts, self.tried_at, self.done_at, self.failure = self.attempts + 1, at, None, why

    def succeeded(self, at: datetime) -> None:
        """Legacy has it now."""
        self.attempts, self.tried_at, self.done_at, self.failure = self.attempts + 1, at, at, ""
