"""The append-only, hash-chained log of every change by a person or the watchdog (DESIGN.md, invariant 9)."""

import hashlib
import json
from typing import Any

from django.db import models


class AuditEntry(models.Model):
    """Who did what, why, and what it changed. The database refuses to update or delete a row."""

    sequence = models.PositiveBigIntegerField(unique=True)
    #: made by whoever acted, so that an entry that is read twice from the spool is stored once
    uid = models.UUIDField(unique=True)
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=64)
    sentence = models.TextField()
    detail = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["-sequence"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.actor} {self.sentence}"

    @property
    def digest(self) -> str:
        """The hash this row must have, from its contents and its predecessor's hash."""
        contents: list[Any] = [
            self.sequence,
            str(self.uid),
            self.at.isoformat(),
            self.actor,
            self.action,
            self.sentence,
            self.detail,
            self.previous_hash,
        ]
        return hashlib.sha256(json.dumps(contents, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
