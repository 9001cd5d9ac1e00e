"""A token for an operator's scripts."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from heartbeat.models.token import Token


class OperatorToken(Token):
    """Acts for its user, with at most the user's permissions, and only within its scopes (`heartbeat.rules.scopes`)."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="operator_tokens")
    name = models.TextField(help_text="what it is for")
    scopes = ArrayField(models.TextField())

    class Meta:
        permissions = [
            ("issue_operator_token", "May issue tokens for their own scripts"),
            ("manage_operator_tokens", "May see and revoke everybody's tokens"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(expires_at__isnull=False), name="operator_token_expires"),
        ]

    @property
    def actor(self) -> str:
        """Who acts with it, for the audit log."""
        return f"{self.user.get_username()[:120]} (token {self.prefix}…)"
