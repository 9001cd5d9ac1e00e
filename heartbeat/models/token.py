"""What all sorts of tokens have in common."""

from datetime import datetime

from django.db import models
from django.db.models import Q


class Tokens(models.QuerySet):
    """Tokens by their life."""

    def live(self, at: datetime) -> "Tokens":
        """Neither revoked nor expired at `at`."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=at), revoked_at=None)


class Token(models.Model):
    """A secret that was shown once; here is its SHA-256 (`heartbeat.rules.tokens`)."""

    digest = models.BinaryField(unique=True, help_text="SHA-256 of the token")
    prefix = models.TextField(help_text="its first characters, to tell it from others")
    created_at = models.DateTimeField()
    created_by = models.TextField()
    expires_at = models.DateTimeField(null=True, help_text="none: it does not expire")
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.TextField(default="", db_default="", blank=True)
    last_used_at = models.DateTimeField(null=True, help_text="to within some minutes")

    objects = Tokens.as_manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.prefix}…"

    def is_live(self, at: datetime) -> bool:
        """Whether it is neither revoked nor expired at `at`."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > at)

    def revoke(self, by: str, at: datetime) -> bool:
        """Make it worthless; False when it was revoked before, which stays as it was."""
        if self.revoked_at is not None:
            return False
        self.revoked_at, self.revoked_by = at, by
        return True
