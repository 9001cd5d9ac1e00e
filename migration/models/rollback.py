"""What went back, when, why and how fast. Written after the fact: the route moves first."""

from django.db import models


class Rollback(models.Model):
    """One rollback, with its measured time beside its budget."""

    class Trigger(models.TextChoices):
        """Who decided."""

        AUTOMATIC = "automatic", "automatic"
        OPERATOR = "operator", "operator"

    class State(models.TextChoices):
        """How far it was confirmed when it was recorded."""

        OBSERVED = "observed", "observed"
        PARTIAL = "partial", "partial"
        FAILED = "failed", "failed"

    #: made by whoever acted, so that a record that is read twice from the spool is stored once
    uid = models.UUIDField(unique=True)
    from_phase = models.CharField(max_length=32)
    to_phase = models.CharField(max_length=32)
    from_percent = models.PositiveSmallIntegerField()
    to_percent = models.PositiveSmallIntegerField()
    trigger = models.CharField(max_length=16, choices=Trigger)
    is_emergency = models.BooleanField(default=False)
    reason = models.TextField()
    actor = models.CharField(max_length=150)
    decided_at = models.DateTimeField()
    route_version = models.PositiveBigIntegerField(null=True, blank=True)
    #: from the decision until every proxy acknowledged and every probe obeyed (live traffic is checked after that);
    #: None if it was not confirmed
    seconds = models.FloatField(null=True, blank=True)
    budget_seconds = models.FloatField(null=True, blank=True)
    state = models.CharField(max_length=16, choices=State)
    #: the rule of the rollback matrix that decided; empty where a person did
    rule = models.CharField(max_length=32, blank=True)
    #: from the decision until the route was on disk
    written_seconds = models.FloatField(null=True, blank=True)
    #: from the decision until each proxy ran it, by name
    acknowledged = models.JSONField(default=dict, blank=True)
    #: the share of live traffic that `new` owned afterwards, percent; None without traffic
    observed_percent = models.FloatField(null=True, blank=True)
    #: what both systems did right before, as the watchdog saw it
    evidence = models.JSONField(default=dict, blank=True)
    #: what was late or failed, by name
    late = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["-decided_at"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(reason=""), name="a_rollback_has_a_reason"),
            models.CheckConstraint(
                condition=~models.Q(state="observed") | models.Q(seconds__isnull=False),
                name="an_observed_rollback_was_measured",
            ),
        ]

    def __str__(self) -> str:
        return f"Rollback {self.from_percent} → {self.to_percent} % ({self.get_state_display()})"
