"""A step that takes two people: one asks, another one confirms."""

from datetime import datetime

from django.db import models

from migration.errors import WrongState


class Proposal(models.Model):
    """Waits for a second person. It judges what its proposer judged: another build or other settings void it."""

    class Kind(models.TextChoices):
        """What takes two."""

        ADVANCE = "advance", "step forward"
        SHORTEN = "shorten", "shorten the duration"

    class State(models.TextChoices):
        """Only a waiting one can be confirmed."""

        WAITING = "waiting", "waiting"
        CONFIRMED = "confirmed", "confirmed"
        CANCELLED = "cancelled", "cancelled"
        VOID = "void", "void"

    run = models.ForeignKey("migration.PhaseRun", on_delete=models.CASCADE, related_name="proposals")
    kind = models.CharField(max_length=16, choices=Kind)
    to_phase = models.CharField(max_length=32)
    reason = models.TextField()
    proposed_by = models.CharField(max_length=150)
    proposed_at = models.DateTimeField()
    deadline_at = models.DateTimeField()
    judged = models.CharField(max_length=128)
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    confirmed_by = models.CharField(max_length=150, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("shorten_phase", "May propose and confirm a shorter phase")]
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=models.Q(state="waiting"), name="one_waiting_proposal_of_a_kind"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="confirmed")
                | ~models.Q(confirmed_by="") & ~models.Q(confirmed_by=models.F("proposed_by")),
                name="a_proposal_is_confirmed_by_another_person",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.get_state_display()})"

    @property
    def waits_for(self) -> str:
        """What an operator is told."""
        return "a second person" if self.state == self.State.WAITING else ""

    def confirm(self, by: str, at: datetime) -> None:
        """Another person agrees. Raises `WrongState`."""
        if by == self.proposed_by:
            raise WrongState(f"{by} proposed it: another person must confirm")
        self._end(self.State.CONFIRMED, at, f"confirmed by {by}")
        self.confirmed_by = by

    def cancel(self, because: str, at: datetime) -> None:
        """Somebody took it back."""
        self._end(self.State.CANCELLED, at, because)

    def void(self, because: str, at: datetime) -> None:
        """What it judged is no longer so, or nobody came."""
        self._end(self.State.VOID, at, because)

    def _end(self, state: "Proposal.State", at: datetime, because: str) -> None:
        if self.state != self.State.WAITING:
            raise WrongState(f"the proposal is {self.get_state_display()}, not waiting")
        self.state, self.ended_at, self.ended_because = state, at, because
