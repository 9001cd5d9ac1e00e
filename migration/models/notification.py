"""What people are to be told, and each attempt to tell them: an outbox that a process of its own empties."""

import uuid
from datetime import datetime, timedelta

from django.db import models

from migration.errors import WrongState


class Notification(models.Model):
    """One thing to tell. Written once per `key`, whoever looks and however often."""

    #: what it tells of, such as "audit:17" or "gate:5"
    key = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=32)
    #: names of channels: "status", "alerts"
    channels = models.JSONField(default=list)
    is_urgent = models.BooleanField(default=False)
    #: of a step of an escalation: the one person's address it goes to, beside no channel
    address = models.TextField(blank=True)
    sentence = models.TextField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.sentence


class Delivery(models.Model):
    """Some notifications on their way to one destination, as one message."""

    class State(models.TextChoices):
        """waiting → sent or failed; a failed one can be sent again."""

        WAITING = "waiting", "waiting"
        SENT = "sent", "sent"
        FAILED = "failed", "failed"

    #: goes with every attempt, so that a receiver can tell a repetition
    uid = models.UUIDField(unique=True, default=uuid.uuid4)
    #: a name from the settings, never an address: those of webhooks are secrets
    destination = models.CharField(max_length=200)
    notifications = models.ManyToManyField(Notification, related_name="deliveries")
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    #: whoever sends holds it until then; a killed sender loses it
    claimed_until = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    failure = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["destination"], condition=models.Q(state="waiting"), name="one_delivery_waits_per_destination"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="sent") | models.Q(sent_at__isnull=False), name="a_sent_delivery_says_when"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="failed") | ~models.Q(failure=""), name="a_failed_delivery_says_why"
            ),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk} to {self.destination} ({self.get_state_display()})"

    def sent(self, at: datetime) -> None:
        """The destination took it."""
        self._require(self.State.WAITING)
        self.state, self.sent_at, self.failure, self.claimed_until = self.State.SENT, at, "", None
        self.attempts += 1

    def again(self, why: str, at: datetime, after: timedelta) -> None:
        """It was not taken; try again `after` this long."""
        self._require(self.State.WAITING)
        self.failure, self.due_at, self.claimed_until = why, at + after, None
        self.attempts += 1

    def give_up(self, why: str) -> None:
        """It was refused for good, or for too long."""
        self._require(self.State.WAITING)
        self.state, self.failure, self.claimed_until = self.State.FAILED, why, None
        self.attempts += 1

    def retry(self, at: datetime) -> None:
        """A person says that it will be taken now."""
        self._require(self.State.FAILED)
        self.state, self.due_at, self.created_at, self.attempts = self.State.WAITING, at, at, 0

    def _require(self, state: "Delivery.State") -> None:
        if self.state != state:
            raise WrongState(f"delivery {self.pk} is {self.get_state_display()}, not {state.label}")


class Position(models.Model):
    """How far a reader of rows has got: a source that is collected, or a destination that was told."""

    name = models.CharField(max_length=200, primary_key=True)
    last = models.PositiveBigIntegerField()
    #: what was there before the first look is not told
    begin = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} up to {self.last}"
