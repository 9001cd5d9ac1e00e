"""A robot's own token."""

from django.db import models

from heartbeat.models.enrolment_token import EnrolmentToken
from heartbeat.models.token import Token


class RobotToken(Token):
    """Lets one robot speak. Names its robot by key, without a foreign key: robots' rows are rebuilt from the log."""

    robot_key = models.BinaryField(help_text="lowered bytes of the robot's id, as in Robot.key")
    robot_id = models.TextField(help_text="the robot's id as it was given; a NUL is shown as U+2400")
    enrolled_with = models.ForeignKey(
        EnrolmentToken, null=True, on_delete=models.SET_NULL, help_text="none: issued by a person"
    )

    class Meta:
        indexes = [models.Index(fields=["robot_key"], name="tokens_of_a_robot")]
        permissions = [("issue_token", "May issue, rotate and revoke robots' tokens")]
