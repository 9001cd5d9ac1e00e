"""What only a person can know, signed by that person."""

from datetime import datetime

from django.conf import settings
from django.db import models

from migration.errors import WrongState
from migration.rules import voting


class SignOff(models.Model):
    """Somebody vouches for one point of the checklist, until it is withdrawn or what it vouched for has changed."""

    subject = models.CharField(max_length=64)
    role = models.CharField(max_length=32, choices=[(role.value, role.words) for role in voting.Role])
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="sign_offs")
    #: the person signed as the named backup of the role
    as_backup = models.BooleanField(default=False)
    comment = models.TextField()
    signed_at = models.DateTimeField()
    #: a digest of what was vouched for, such as the contacts as they were; empty where nothing is stored here
    judged = models.CharField(max_length=64, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by = models.CharField(max_length=150, blank=True)
    withdrawn_because = models.TextField(blank=True)

    class Meta:
        ordering = ["-signed_at"]
        permissions = [("sign_off", "May sign points of the checklist as their role")]
        constraints = [
            models.UniqueConstraint(
                fields=["subject"], condition=models.Q(withdrawn_at=None), name="one_signature_per_subject"
            ),
            models.CheckConstraint(condition=~models.Q(comment=""), name="a_signature_says_what_was_seen"),
            models.CheckConstraint(
                condition=models.Q(withdrawn_at=None) | ~models.Q(withdrawn_because=""),
                name="a_withdrawal_says_why",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject}: {self.person}"

    def withdraw(self, at: datetime, by: str, because: str) -> None:
        """The signature counts no longer."""
        if self.withdrawn_at is not None:
            raise WrongState(f"the signature of {self.subject} is withdrawn already")
        self.withdrawn_at, self.withdrawn_by, self.withdrawn_because = at, by, because
