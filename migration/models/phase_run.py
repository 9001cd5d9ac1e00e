"""One stay in a phase. A phase that was rolled back and tried again has two runs."""

from datetime import datetime

from django.db import models

from migration.errors import WrongState
from migration.rules.phases import PHASES, Phase, phase_of


class PhaseRun(models.Model):
    """The fleet's stay in one phase, from the shift that opened it to the one that closed it."""

    class State(models.TextChoices):
        """Exactly one run is active."""

        ACTIVE = "active", "active"
        COMPLETED = "completed", "completed"
        ROLLED_BACK = "rolled_back", "rolled back"

    slug = models.CharField(max_length=32, choices=[(phase.slug, phase.name) for phase in PHASES])
    state = models.CharField(max_length=16, choices=State, default=State.ACTIVE)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    #: evidence counts from here: later than the start where an emergency held and `new` was mended meanwhile
    evidence_from = models.DateTimeField()
    #: the build of `new` that runs; votes and evidence judge this one
    build = models.CharField(max_length=64)

    class Meta:
        ordering = ["-id"]
        permissions = [
            ("advance_phase", "May take the fleet to the next phase"),
            ("roll_back", "May roll back"),
            ("release_latch", "May release the latch of an emergency"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["state"], condition=models.Q(state="active"), name="one_active_phase_run"),
            models.CheckConstraint(
                condition=models.Q(state="active", ended_at=None)
                | ~models.Q(state="active") & ~models.Q(ended_at=None),
                name="a_phase_run_that_ended_says_when",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.phase.name} ({self.get_state_display()})"

    @property
    def phase(self) -> Phase:
        """The phase as data."""
        return phase_of(self.slug)

    @property
    def judged(self) -> str:
        """What votes of this run judge: the build, the phase's settings, and the evidence since it began (again)."""
        return f"{self.build}/{self.slug}/{self.phase.percent}/{self.evidence_from:%Y%m%dT%H%M%S.%f}"

    def begin_again(self, at: datetime) -> None:
        """`new` was mended: what it did before says nothing about it any more."""
        if self.state != self.State.ACTIVE:
            raise WrongState(f"phase run {self.pk} is {self.get_state_display()}, not active")
        self.evidence_from = at

    def complete(self, at: datetime) -> None:
        """The next phase has been observed."""
        self._end(self.State.COMPLETED, at)

    def roll_back(self, at: datetime) -> None:
        """Traffic went back."""
        self._end(self.State.ROLLED_BACK, at)

    def _end(self, state: "PhaseRun.State", at: datetime) -> None:
        if self.state != self.State.ACTIVE:
            raise WrongState(f"phase run {self.pk} is {self.get_state_display()}, not active")
        self.state, self.ended_at = state, at
