"""What legacy says of a robot's operation, as its own record has it."""

from django.db import models


class LegacyClaim(models.Model):
    """Written by whoever reads legacy (`teleop.claims`). Shown beside the signals, never taken for a fact."""

    robot_key = models.BinaryField(primary_key=True)
    robot_id = models.TextField()
    operated = models.BooleanField(help_text="whether legacy says that it is teleoperated")
    field = models.TextField(help_text="of legacy's record: teleop_operation, or the older contract's teleoperation")
    since = models.DateTimeField(help_text="when legacy was first read to say so")
    read_at = models.DateTimeField(help_text="when it was last read to say so; renewed every quarter of a minute")

    def __str__(self) -> str:
        return f"{self.robot_id}: {self.field} {self.operated}"
