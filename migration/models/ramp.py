"""The way into a phase in several steps, and the cohorts that go first."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models

from migration.errors import WrongState
from migration.rules.phases import PHASES, Phase, phase_of
from migration.rules.ramps import Step


class Ramp(models.Model):
    """Steps into one phase. Its first step opens the phase; the phase's evidence counts from its last."""

    class State(models.TextChoices):
        """Cancelled: somebody gave up the rest of the way. Overtaken: traffic went back. Failed: no first step."""

        RUNNING = "running", "running"
        COMPLETED = "completed", "completed"
        CANCELLED = "cancelled", "cancelled"
        OVERTAKEN = "overtaken", "overtaken by a rollback"
        FAILED = "failed", "failed"

    to_phase = models.CharField(max_length=32, choices=[(phase.slug, phase.name) for phase in PHASES])
    #: [{"percent", "cohort"}]
    steps = models.JSONField()
    #: index of the step that was observed last, -1 before the first
    reached = models.SmallIntegerField(default=-1)
    reached_at = models.DateTimeField(null=True, blank=True)
    #: when somebody resumed the phase last: a step that failed before may be tried again
    resumed_at = models.DateTimeField(null=True, blank=True)
    #: planned seconds between two steps
    bake_seconds = models.FloatField()
    state = models.CharField(max_length=16, choices=State, default=State.RUNNING)
    waits_for = models.TextField(blank=True)
    requested_by = models.CharField(max_length=150)
    reason = models.TextField()
    begun_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["state"], condition=models.Q(state="running"), name="one_running_ramp"),
            models.CheckConstraint(
                condition=models.Q(state="running", ended_at=None)
                | ~models.Q(state="running") & ~models.Q(ended_at=None),
                name="a_ramp_that_ended_says_when",
            ),
        ]

    def __str__(self) -> str:
        return f"Ramp to {self.phase.name} ({self.get_state_display()})"

    @property
    def phase(self) -> Phase:
        """The phase it leads into."""
        return phase_of(self.to_phase)

    @property
    def plan(self) -> tuple[Step, ...]:
        """Its steps as the rules see them."""
        return tuple(Step(step["percent"], step["cohort"]) for step in self.steps)

    @property
    def is_running(self) -> bool:
        """Whether there is more to come."""
        return self.state == self.State.RUNNING

    @property
    def upcoming(self) -> Step | None:
        """The step after the one that was observed last; None when it was the last."""
        return self.plan[self.reached + 1] if self.reached + 1 < len(self.steps) else None

    def observe(self, step: int, at: datetime) -> None:
        """Step number `step` was observed."""
        self._require_running()
        self.reached, self.reached_at, self.waits_for = step, at, ""
        if self.upcoming is None:
            self._end(self.State.COMPLETED, at, "every step was observed")

    def cancel(self, because: str, at: datetime) -> None:
        """Give up the rest of the way; traffic stays where it is."""
        self._end(self.State.CANCELLED, at, because)

    def overtake(self, at: datetime) -> None:
        """Traffic went back."""
        self._end(self.State.OVERTAKEN, at, "overtaken by a rollback")

    def fail(self, because: str, at: datetime) -> None:
        """Its first step was not taken, so the phase was never entered."""
        self._end(self.State.FAILED, at, because)

    def _end(self, state: "Ramp.State", at: datetime, because: str) -> None:
        self._require_running()
        self.state, self.ended_at, self.ended_because, self.waits_for = state, at, because, ""

    def _require_running(self) -> None:
        if not self.is_running:
            raise WrongState(f"the ramp to {self.phase.name} is {self.get_state_display()}, not running")


class Cohort(models.Model):
    """Robots of one kind or site, named one by one when the ramp began: who comes later does not belong."""

    ramp = models.ForeignKey(Ramp, on_delete=models.CASCADE, related_name="cohorts")
    #: "kind=xle", "site=A"
    name = models.CharField(max_length=210)
    #: canonical ids
    members = ArrayField(models.CharField(max_length=128))
    #: how many robots were known then
    robots = models.PositiveIntegerField()
    frozen_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["ramp", "name"], name="a_cohort_once_per_ramp")]

    def __str__(self) -> str:
        return f"{self.name}: {len(self.members)} robots"
