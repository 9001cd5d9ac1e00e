"""The same thing learnt by `new` and by legacy: how long each took, as the report compares them."""

from django.db import models


class SideBySide(models.Model):
    """One silence, one operation or one reading of the fleet, by both systems.

    Legacy's time is a lower bound: until the latest look at which it did not say so yet.
    """

    class Of(models.TextChoices):
        """What was to be learnt."""

        SILENCE = "silence", "a robot fell silent"
        OPERATION = "operation", "a robot is operated"
        READING = "reading", "the list of the fleet"

    class State(models.TextChoices):
        """Whether legacy says so."""

        OPEN = "open", "not yet"
        SAID = "said", "it does"
        OVER = "over", "it was over before"
        BEFORE = "before", "it said so before it was so"

    of = models.CharField(max_length=16, choices=Of)
    #: of what: an event, a session; a moment
    subject = models.TextField()
    robot_id = models.TextField(blank=True)
    state = models.CharField(max_length=8, choices=State)
    began_at = models.DateTimeField(help_text="the robot's last word, the session's beginning, the reading's")
    new_seconds = models.FloatField()
    legacy_seconds = models.FloatField(default=0.0)

    class Meta:
        ordering = ["-began_at"]
        verbose_name_plural = "side by side"
        constraints = [
            models.UniqueConstraint(fields=["of", "subject"], name="compared_once"),
            models.CheckConstraint(
                condition=models.Q(new_seconds__gte=0, legacy_seconds__gte=0), name="takes_no_negative_time"
            ),
        ]
        indexes = [models.Index(fields=["of", "-began_at"], name="side_by_side_by_time")]

    def __str__(self) -> str:
        return f"{self.get_of_display()} {self.robot_id}: {self.new_seconds:.3g} s, legacy {self.legacy_seconds:.3g} s"
