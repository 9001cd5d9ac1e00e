"""Making one row the same in both systems: proposed by one, reviewed by another, then applied."""

from datetime import datetime

from django.db import models

from migration.errors import WrongState
from migration.models.fields import JSONValueField


class Reconciliation(models.Model):
    """proposed → approved → applied, or failed; or rejected; or void because the values changed meanwhile."""

    class Taker(models.TextChoices):
        """Which system takes the other's row."""

        NEW = "new", "new takes legacy's"
        LEGACY = "legacy", "legacy takes new's"

    class State(models.TextChoices):
        """The first two are open."""

        PROPOSED = "proposed", "proposed"
        APPROVED = "approved", "approved"
        APPLIED = "applied", "applied"
        FAILED = "failed", "failed"
        REJECTED = "rejected", "rejected"
        VOID = "void", "void"

    OPEN = (State.PROPOSED, State.APPROVED)

    discrepancy = models.ForeignKey("migration.Discrepancy", on_delete=models.CASCADE, related_name="reconciliations")
    taker = models.CharField(max_length=8, choices=Taker)
    reason = models.TextField()
    #: the values that were reviewed; other ones make it void
    legacy = JSONValueField(null=True)
    new = JSONValueField(null=True)
    state = models.CharField(max_length=16, choices=State, default=State.PROPOSED)
    proposed_by = models.CharField(max_length=150)
    proposed_at = models.DateTimeField()
    reviewed_by = models.CharField(max_length=150, blank=True)
    reviewed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    failure = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["discrepancy"],
                condition=models.Q(state__in=["proposed", "approved"]),
                name="one_open_reconciliation",
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["approved", "applied"])
                | ~models.Q(reviewed_by="") & ~models.Q(reviewed_by=models.F("proposed_by")),
                name="a_reconciliation_is_reviewed_by_somebody_else",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_taker_display()} ({self.get_state_display()})"

    def approve(self, by: str, at: datetime) -> None:
        """Somebody else looked at it and agrees."""
        self._require(self.State.PROPOSED)
        self.state, self.reviewed_by, self.reviewed_at = self.State.APPROVED, by, at

    def reject(self, by: str, at: datetime, why: str) -> None:
        """Somebody looked at it and does not agree; who proposed it may take it back so."""
        self._require(self.State.PROPOSED)
        self.state, self.reviewed_by, self.reviewed_at = self.State.REJECTED, by, at
        self.failure, self.ended_at = why, at

    def apply(self, at: datetime) -> None:
        """It was done, and both systems were read equal."""
        self._require(self.State.APPROVED)
        self.state, self.ended_at = self.State.APPLIED, at

    def fail(self, why: str, at: datetime) -> None:
        """It could not be done; `why` says what stood in the way."""
        self._require(self.State.APPROVED)
        self.state, self.failure, self.ended_at = self.State.FAILED, why, at

    def void(self, why: str, at: datetime) -> None:
        """What was proposed or approved is not what is there now."""
        if self.state not in self.OPEN:
            raise WrongState(f"reconciliation {self.pk} is {self.get_state_display()}, not open")
        self.state, self.failure, self.ended_at = self.State.VOID, why, at

    def _require(self, state: "Reconciliation.State") -> None:
        if self.state != state:
            raise WrongState(f"reconciliation {self.pk} is {self.get_state_display()}, not {state.label}")
