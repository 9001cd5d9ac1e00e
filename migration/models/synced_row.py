"""What sync took over from legacy because `new` had not heard it: robots' state stands on it beside the log."""

from django.db import models

from heartbeat.models.fields import PlainJSONField


class SyncedRow(models.Model):
    """The latest state of a row that came by sync. A rebuild of the robots applies it again after the log."""

    key = models.BinaryField(unique=True, help_text="exact bytes of the id, as legacy's rows are keyed")
    robot_key = models.BinaryField(db_index=True)
    robot_id = models.TextField()
    at = models.DateTimeField(help_text="legacy's last_seen")
    said = PlainJSONField(null=True, help_text="the fields of the heartbeat")
    asked = PlainJSONField(null=True, help_text="the fields of the update check")
    address = models.TextField(default="", blank=True)
    digest = models.BinaryField(help_text="of the row as legacy listed it")
    taken_over_at = models.DateTimeField()

    class Meta:
        ordering = ["robot_id"]

    def __str__(self) -> str:
        return self.robot_id


class HistoryGap(models.Model):
    """A time in which a system did not hear a robot's calls; the state after it was filled in, the calls were not."""

    class Of(models.TextChoices):
        """Whose history has the gap."""

        NEW = "new", "new"
        LEGACY = "legacy", "legacy"

    of = models.CharField(max_length=8, choices=Of)
    key = models.BinaryField()
    robot_id = models.TextField()
    began_at = models.DateTimeField(null=True, help_text="the last call known before; none: nothing was known")
    ended_at = models.DateTimeField(help_text="the latest call that was filled in")
    fills = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["of", "key", "-ended_at"], name="latest_gap_of_a_row")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(began_at=None) | models.Q(began_at__lte=models.F("ended_at")), name="a_gap_lasts"
            )
        ]

    def __str__(self) -> str:
        return f"{self.robot_id}: gap of {self.of} until {self.ended_at:%d %b %H:%M:%S} UTC"


class Replayed(models.Model):
    """What sync last told legacy of a robot, so that it is recognised when it is read back."""

    key = models.BinaryField(unique=True, help_text="exact bytes of the id")
    robot_id = models.TextField()
    at = models.DateTimeField(help_text="when what it says was so")
    sent_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField()
    body = PlainJSONField(help_text="the body of POST /api/robot/status")

    class Meta:
        ordering = ["-acknowledged_at"]

    def __str__(self) -> str:
        return self.robot_id
