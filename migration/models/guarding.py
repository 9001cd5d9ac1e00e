"""What the automation may do, as operators set it, and what it found."""

from django.db import models

from migration.rules.watching import RULES


class WatchRule(models.Model):
    """How far one rule of the rollback matrix may go. A rule without a row rolls back."""

    class Mode(models.TextChoices):
        """The words of `migration.rules.watching.Mode`."""

        OBSERVE = "observe", "observe"
        HOLD = "hold", "hold"
        ROLL_BACK = "roll_back", "roll back"

    name = models.CharField(max_length=32, primary_key=True, choices=[(rule.name, rule.when) for rule in RULES])
    mode = models.CharField(max_length=16, choices=Mode, default=Mode.ROLL_BACK)
    changed_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()
    reason = models.TextField()

    class Meta:
        ordering = ["name"]
        permissions = [
            ("set_watch_rule", "May set what a rule of the rollback matrix does"),
            ("switch_automation", "May switch automatic rollbacks off and on"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(mode__in=["observe", "hold", "roll_back"]), name="a_watch_rule_has_a_known_mode"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.get_mode_display()}"


class AutomationSwitch(models.Model):
    """Somebody switched automatic rollbacks off or on; the latest counts, none means on."""

    is_on = models.BooleanField()
    by = models.CharField(max_length=150)
    at = models.DateTimeField()
    reason = models.TextField()

    class Meta:
        ordering = ["-id"]
        constraints = [models.CheckConstraint(condition=~models.Q(reason=""), name="a_switch_has_a_reason")]

    def __str__(self) -> str:
        return f"automation {'on' if self.is_on else 'off'} by {self.by}: {self.reason}"


class WatchFinding(models.Model):
    """A stretch of time in which a rule applied, and what came of it; a rule that observes says what it would do."""

    rule = models.CharField(max_length=32)
    #: what the matrix says to do
    action = models.CharField(max_length=16)
    #: how far the rule was allowed to go
    mode = models.CharField(max_length=16)
    sentence = models.TextField()
    opened_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    looks = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-opened_at"]
        indexes = [models.Index(fields=["rule", "-last_seen_at"], name="latest_watch_finding")]

    def __str__(self) -> str:
        return self.sentence
