"""How the relay of v2 heartbeats to legacy stands. Only the relay writes these two tables."""

from django.db import models

from heartbeat.models.fields import PlainJSONField

#: the one row of `RelayState`
THE_RELAY = 1


class RelayState(models.Model):
    """Where the relay is in the log, and what became of all v2 heartbeats before that.

    `accepted` is the sum of the five outcomes, always.
    """

    cursor = models.DateTimeField(help_text="`received_at` up to which every v2 heartbeat has an outcome")
    accepted = models.BigIntegerField(default=0)
    relayed = models.BigIntegerField(default=0)
    coalesced = models.BigIntegerField(default=0, help_text="legacy has a newer heartbeat of the same robot instead")
    too_old = models.BigIntegerField(default=0, help_text="would have made a silent robot look alive")
    refused = models.BigIntegerField(default=0, help_text="legacy answered 4xx")
    failed = models.BigIntegerField(default=0, help_text="legacy did not take it in time")
    waiting = models.IntegerField(default=0, help_text="read and not done")
    lag_seconds = models.FloatField(default=0, help_text="age of the oldest that is not done")
    legacy_silent_since = models.DateTimeField(null=True, help_text="none: legacy takes what it is told")
    updated_at = models.DateTimeField(help_text="the relay's pulse")

    class Meta:
        db_table = "heartbeat_relay"
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=THE_RELAY), name="one_relay"),
            models.CheckConstraint(
                condition=models.Q(
                    accepted=models.F("relayed")
                    + models.F("coalesced")
                    + models.F("too_old")
                    + models.F("refused")
                    + models.F("failed")
                ),
                name="every_v2_heartbeat_has_one_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"relay at {self.cursor.isoformat()}"

    @property
    def covered_share(self) -> float | None:
        """Share of accepted heartbeats whose state legacy has, itself or a newer one; None before the first."""
        return (self.relayed + self.coalesced) / self.accepted if self.accepted else None


class Relayed(models.Model):
    """What legacy was last told of a robot, so that sync recognises it when it reads it back."""

    key = models.BinaryField(unique=True, help_text="exact bytes of the id, as legacy's rows are keyed")
    robot_id = models.TextField()
    request_id = models.UUIDField(null=True)
    at = models.DateTimeField(help_text="when what it says was so")
    sent_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField()
    body = PlainJSONField(help_text="the body of POST /api/robot/status")

    class Meta:
        db_table = "heartbeat_relayed"

    def __str__(self) -> str:
        return self.robot_id
