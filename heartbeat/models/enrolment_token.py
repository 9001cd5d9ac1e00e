"""A token with which robots get a token of their own."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from heartbeat.models.token import Token


class EnrolmentToken(Token):
    """Good for a number of robots. What it says (kind, site) wins over what they ask for; tags are added."""

    note = models.TextField(default="", db_default="", blank=True, help_text="what it is for")
    uses_granted = models.PositiveIntegerField()
    uses_left = models.PositiveIntegerField()
    kind = models.TextField(default="", db_default="", blank=True)
    site = models.TextField(default="", db_default="", blank=True)
    tags = ArrayField(models.TextField(), default=list, db_default=[], blank=True)
    replaces = models.BooleanField(
        default=False, help_text="whether a robot that has a token may enrol again, which revokes its old ones"
    )

    class Meta:
        permissions = [("issue_enrolment_token", "May issue and revoke enrolment tokens")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(uses_left__lte=models.F("uses_granted")), name="no_more_uses_than_granted"
            ),
            models.CheckConstraint(condition=models.Q(expires_at__isnull=False), name="enrolment_token_expires"),
        ]
