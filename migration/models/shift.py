"""A change of the split. Traffic moves only through one of these (DESIGN.md, invariant 4)."""

from datetime import datetime
from typing import Any

from django.db import models

from migration.errors import WrongState
from migration.rules.phases import phase_of


class TrafficShift(models.Model):
    """Who moves how much of the fleet, why, and how far it has got."""

    class State(models.TextChoices):
        """requested → applying → acknowledged → observed, or failed, or cancelled."""

        REQUESTED = "requested", "requested"
        APPLYING = "applying", "applying"
        ACKNOWLEDGED = "acknowledged", "acknowledged"
        OBSERVED = "observed", "observed"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    class Kind(models.TextChoices):
        """What moves: the fleet into a phase, the fleet one step up a ramp, or robots by name."""

        PHASE = "phase", "phase"
        RAMP = "ramp", "ramp"
        PINS = "pins", "pins"

    WAITING = (State.REQUESTED, State.APPLYING, State.ACKNOWLEDGED)

    kind = models.CharField(max_length=16, choices=Kind, default=Kind.PHASE, db_default=Kind.PHASE.value)
    ramp = models.ForeignKey("migration.Ramp", on_delete=models.SET_NULL, null=True, blank=True, related_name="shifts")
    #: the step of the ramp that this is
    ramp_step = models.PositiveSmallIntegerField(null=True, blank=True)
    #: the cohort that goes over with it
    cohort = models.ForeignKey("migration.Cohort", on_delete=models.SET_NULL, null=True, blank=True)
    #: canonical robot id → side, or null for a pin that is taken away
    pin_changes = models.JSONField(default=dict, blank=True)
    #: the plan that the decision was made on, which is put back when the shift is not confirmed
    plan_before = models.JSONField(default=dict, blank=True)
    from_phase = models.CharField(max_length=32)
    to_phase = models.CharField(max_length=32)
    from_percent = models.PositiveSmallIntegerField()
    to_percent = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=16, choices=State, default=State.REQUESTED)
    requested_by = models.CharField(max_length=150)
    reason = models.TextField()
    requested_at = models.DateTimeField()
    deadline_at = models.DateTimeField()
    applying_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    observed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    #: the route version the decision was made on; another writer in between makes the shift fail
    based_on_version = models.PositiveBigIntegerField()
    route_version = models.PositiveBigIntegerField(null=True, blank=True)
    acknowledgements = models.JSONField(default=dict, blank=True)
    observed_percent = models.FloatField(null=True, blank=True)
    failure = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                models.Value(1),
                condition=models.Q(state__in=["requested", "applying", "acknowledged"]),
                name="one_shift_at_a_time",
            ),
            models.CheckConstraint(
                condition=models.Q(to_percent__lte=100, from_percent__lte=100), name="a_shift_stays_within_100_percent"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="observed") | models.Q(observed_at__isnull=False),
                name="an_observed_shift_says_when",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="failed") | ~models.Q(failure=""), name="a_failed_shift_says_why"
            ),
        ]

    def __str__(self) -> str:
        return f"Shift {self.pk}: {self.from_percent} → {self.to_percent} % ({self.get_state_display()})"

    @property
    def is_waiting(self) -> bool:
        """Whether it is on its way."""
        return self.state in self.WAITING

    @property
    def waits_for(self) -> str:
        """What an operator is told while it is on its way."""
        return {
            self.State.REQUESTED: "a worker to take it",
            self.State.APPLYING: "every proxy to acknowledge",
            self.State.ACKNOWLEDGED: "the split to be observed",
        }.get(self.State(self.state), "")

    @property
    def words(self) -> str:
        """What it moves, as an operator reads it."""
        if self.kind == self.Kind.PINS:
            told = (f"{key} → {side or 'its bucket'}" for key, side in self.pin_changes.items())
            return f"pins: {', '.join(told)}"
        by_name = f" with {len(self.cohort.members):,} robots of {self.cohort.name}" if self.cohort else ""
        return f"{phase_of(self.to_phase).name}: {self.from_percent} → {self.to_percent} %{by_name}"

    @property
    def acknowledged_seconds(self) -> float | None:
        """Seconds from the write until every proxy ran it."""
        return self._seconds_since_write(self.acknowledged_at)

    @property
    def observed_seconds(self) -> float | None:
        """Seconds from the write until it was observed."""
        return self._seconds_since_write(self.observed_at)

    def apply(self, at: datetime) -> None:
        """A worker took it. Raises `WrongState` if it was cancelled or taken before."""
        self._require(self.State.REQUESTED)
        self.state, self.applying_at = self.State.APPLYING, at

    def acknowledge(self, version: int, by: dict[str, Any], at: datetime) -> None:
        """Every proxy runs `version`; `by` says for each proxy after how many seconds."""
        self._require(self.State.APPLYING)
        self.route_version, self.acknowledgements = version, by
        self.state, self.acknowledged_at = self.State.ACKNOWLEDGED, at

    def observe(self, percent: float | None, at: datetime) -> None:
        """Every probe obeyed and live traffic did not contradict."""
        self._require(self.State.ACKNOWLEDGED)
        self.observed_percent = percent
        self.state, self.observed_at, self.ended_at = self.State.OBSERVED, at, at

    def fail(self, why: str, at: datetime) -> None:
        """It was not confirmed, and says why."""
        self._require(*self.WAITING)
        self.state, self.failure, self.ended_at = self.State.FAILED, why, at

    def cancel(self, why: str, at: datetime) -> None:
        """Somebody took it back before a worker applied it."""
        self._require(self.State.REQUESTED)
        self.state, self.failure, self.ended_at = self.State.CANCELLED, why, at

    def _require(self, *states: "TrafficShift.State") -> None:
        if self.state not in states:
            wanted = " or ".join(state.label for state in states)
            raise WrongState(f"shift {self.pk} is {self.get_state_display()}, not {wanted}")

    def _seconds_since_write(self, at: datetime | None) -> float | None:
        return (at - self.applying_at).total_seconds() if at and self.applying_at else None
