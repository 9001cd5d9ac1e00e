"""The row that legacy would keep. Derived from the heartbeats, see `heartbeat.rebuilding`."""

from typing import Any

from django.db import models

from heartbeat.models.fields import PlainJSONField
from heartbeat.rules.rows import legacy_row


class LegacyRow(models.Model):
    """One row of `GET /api/robots`, keyed by the exact bytes; in the order in which the ids were first heard."""

    key = models.BinaryField(unique=True, help_text="exact bytes of the id; a very long one is folded with SHA-256")
    robot_id = models.TextField()
    first_at = models.DateTimeField(db_index=True)

    status_at = models.DateTimeField(null=True)
    deployment_id = models.TextField(null=True)  # noqa: DJ001 - null and "" are two answers in legacy's contract
    version = models.TextField(null=True)  # noqa: DJ001
    status = models.TextField(null=True)  # noqa: DJ001
    message = models.TextField(null=True)  # noqa: DJ001
    health = PlainJSONField(null=True)
    exact_status = PlainJSONField(null=True, help_text="fields of the heartbeat that a text column cannot hold")

    check_at = models.DateTimeField(null=True)
    current_version = models.TextField(null=True)  # noqa: DJ001
    group = models.TextField(null=True)  # noqa: DJ001
    exact_check = PlainJSONField(null=True, help_text="fields of the update check that a text column cannot hold")

    class Meta:
        ordering = ["first_at", "id"]

    def __str__(self) -> str:
        return self.robot_id

    def as_legacy(self) -> dict[str, Any]:
        """The row as legacy answers it."""
        return legacy_row(vars(self), self.health, (self.exact_check or {}) | (self.exact_status or {}))
