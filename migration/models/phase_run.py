"""One stay in a phase. A phase that was rolled back and tried again has two runs."""

from datetime import datetime

from django.db import models

from migration.errors import WrongState
from migration.rules.phases import PHASES, Phase, phase_of
from migration.rules.voting import judged_as


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
    #: digest of the changed settings that votes and evidence judge, "" where nothing was changed
    settings = models.CharField(max_length=16, blank=True, default="", db_default="")
    #: the split that was observed last, less than the phase's own on the way into it; None: the phase's own
    reached_percent = models.PositiveSmallIntegerField(null=True, blank=True)
    #: two people let the phase's time end here
    shortened_to = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    pause_reason = models.TextField(blank=True, default="", db_default="")

    class Meta:
        ordering = ["-id"]
        permissions = [
            ("advance_phase", "May take the fleet to the next phase"),
            ("roll_back", "May roll back"),
            ("release_latch", "May release the latch of an emergency"),
            ("pause_phase", "May pause and resume the way forward"),
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
        return judged_as(self.build, self.slug, self.percent, self.evidence_from, self.settings)

    @property
    def percent(self) -> int:
        """The split that was observed last in this run."""
        return self.phase.percent if self.reached_percent is None else self.reached_percent

    @property
    def has_arrived(self) -> bool:
        """Whether the whole of the phase's split was observed."""
        return self.percent == self.phase.percent

    @property
    def is_paused(self) -> bool:
        """Whether somebody holds the way forward."""
        return self.paused_at is not None

    def begin_again(self, at: datetime) -> None:
        """`new` was mended, or has more to do: what it did before says nothing about it any more."""
        self._require_active()
        self.evidence_from = at

    def rebind(self, *, build: str, settings: str, at: datetime) -> None:
        """Another build runs, or the settings were changed: evidence counts from now, for these."""
        self._require_active()
        self.build, self.settings, self.evidence_from = build, settings, at

    def reach(self, percent: int) -> None:
        """This split was observed."""
        self._require_active()
        self.reached_percent = percent

    def pause(self, by: str, reason: str, at: datetime) -> None:
        """Hold the way forward; the way back is open as always."""
        self._require_active()
        if self.is_paused:
            raise WrongState(f"{self.phase.name} is paused already, by {self.paused_by}")
        self.paused_at, self.paused_by, self.pause_reason = at, by, reason

    def resume(self) -> None:
        """Let it go on."""
        self._require_active()
        if not self.is_paused:
            raise WrongState(f"{self.phase.name} is not paused")
        self.paused_at, self.paused_by, self.pause_reason = None, "", ""

    def shorten(self, to: datetime) -> None:
        """Let the phase's time end at `to`."""
        self._require_active()
        self.shortened_to = to

    def complete(self, at: datetime) -> None:
        """The next phase has been observed."""
        self._end(self.State.COMPLETED, at)

    def roll_back(self, at: datetime) -> None:
        """Traffic went back."""
        self._end(self.State.ROLLED_BACK, at)

    def _end(self, state: "PhaseRun.State", at: datetime) -> None:
        self._require_active()
        self.state, self.ended_at = state, at

    def _require_active(self) -> None:
        if self.state != self.State.ACTIVE:
            raise WrongState(f"phase run {self.pk} is {self.get_state_display()}, not active")
