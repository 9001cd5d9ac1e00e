"""One field that both systems hold differently, from the first reading to its end."""

import hashlib
from datetime import datetime
from typing import Any

from django.db import models

from migration.errors import WrongState
from migration.models.fields import JSONValueField
from migration.rules.comparing import canonical


class Discrepancy(models.Model):
    """pending → confirmed (re-read after the lag) → explained, fixed, or settled by itself.

    A pending one that was on its way is forgotten; whatever was confirmed stays. An explanation holds for the values
    that it was given for: other values are another discrepancy.
    """

    class Subject(models.TextChoices):
        """What differs."""

        ROW = "row", "robot's row"
        DEPLOYMENT = "deployment", "deployment"
        ROBOT = "robot", "robot against its own rows"

    class State(models.TextChoices):
        """The last two are its end."""

        PENDING = "pending", "pending"
        CONFIRMED = "confirmed", "confirmed"
        EXPLAINED = "explained", "explained"
        FIXED = "fixed", "fixed"
        SETTLED = "settled", "settled by itself"

    OPEN = (State.PENDING, State.CONFIRMED, State.EXPLAINED)

    subject = models.CharField(max_length=16, choices=Subject, default=Subject.ROW)
    #: digest of the exact id: an id may be longer than an index takes
    key = models.CharField(max_length=64)
    robot_id = models.TextField(help_text="the row's exact id, or the deployment's; NUL shown as U+2400")
    field = models.TextField()
    legacy = JSONValueField(null=True)
    new = JSONValueField(null=True)
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    since = models.DateTimeField(help_text="when it was first read")
    read_at = models.DateTimeField(help_text="when it was last read")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    explanation = models.TextField(blank=True)
    explained_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("reconcile", "May explain discrepancies, and propose and review reconciliations")]
        constraints = [
            models.UniqueConstraint(
                fields=["subject", "key", "field"],
                condition=models.Q(state__in=["pending", "confirmed", "explained"]),
                name="one_open_discrepancy_per_field",
            ),
            models.CheckConstraint(
                condition=models.Q(state="pending") | models.Q(confirmed_at__isnull=False),
                name="what_is_confirmed_says_when",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="explained") | ~models.Q(explanation=""), name="what_is_explained_says_how"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["fixed", "settled"], ended_at__isnull=False)
                | ~models.Q(state__in=["fixed", "settled"]) & models.Q(ended_at=None),
                name="a_discrepancy_that_ended_says_when",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.robot_id}: {self.field} ({self.get_state_display()})"

    @staticmethod
    def key_of(robot_id: str) -> str:
        """The key of an exact id."""
        return hashlib.sha256(robot_id.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def is_open(self) -> bool:
        """Whether both systems still differ here, as far as was read."""
        return self.state in self.OPEN

    def has(self, legacy: Any, new: Any) -> bool:
        """Whether these are the values that it is about."""
        return (canonical(self.legacy), canonical(self.new)) == (canonical(legacy), canonical(new))

    def read(self, legacy: Any, new: Any, at: datetime) -> None:
        """It was read again, differing. Other values void an explanation."""
        if not self.has(legacy, new) and self.state == self.State.EXPLAINED:
            self.state, self.explanation, self.explained_by = self.State.CONFIRMED, "", ""
        self.legacy, self.new, self.read_at = legacy, new, at

    def confirm(self, at: datetime) -> None:
        """It still differs after the lag that is allowed."""
        if self.state == self.State.PENDING:
            self.state, self.confirmed_at = self.State.CONFIRMED, at

    def explain(self, explanation: str, by: str) -> None:
        """Somebody says why it is no fault. Raises `WrongState` unless it is confirmed (or explained before)."""
        if self.state not in (self.State.CONFIRMED, self.State.EXPLAINED):
            raise WrongState(f"discrepancy {self.pk} is {self.get_state_display()}, not confirmed")
        self.state, self.explanation, self.explained_by = self.State.EXPLAINED, explanation, by

    def end(self, at: datetime, *, fixed: bool) -> None:
        """Both systems are equal again, by a reconciliation or by themselves."""
        if self.state not in (self.State.CONFIRMED, self.State.EXPLAINED):
            raise WrongState(f"discrepancy {self.pk} is {self.get_state_display()}, not confirmed")
        self.state, self.ended_at = (self.State.FIXED if fixed else self.State.SETTLED), at
