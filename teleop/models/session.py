"""A session: somebody or something drove a robot from then until then; and what decided so."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from heartbeat.models.fields import RealField
from teleop.rules.signals import Driver
from teleop.rules.standing import Ending, Step


class Session(models.Model):
    """Times are those of the evidence; `…_known_at` say when this system knew. Written by the watcher alone."""

    class State(models.TextChoices):
        """`lost`: its commands stay away, it may go on."""

        ACTIVE = "active", "active"
        LOST = "lost", "lost"
        ENDED = "ended", "ended"

    class DriverKind(models.TextChoices):
        """Who commands."""

        HUMAN = Driver.HUMAN.value, "human"
        POLICY = Driver.POLICY.value, "policy"
        REPLAY = Driver.REPLAY.value, "replay"
        UNKNOWN = Driver.UNKNOWN.value, "unknown"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    robot_key = models.BinaryField()
    robot_id = models.TextField()
    kind = models.TextField(default="", blank=True)
    site = models.TextField(default="", blank=True)
    state = models.TextField(choices=State)
    driver = models.TextField(choices=DriverKind, default=DriverKind.UNKNOWN)
    operators = ArrayField(models.TextField(), default=list, blank=True, help_text="everybody who commanded in it")
    contested = models.BooleanField(default=False, help_text="two operators commanded at once")
    basis = models.TextField(default="signals")
    confidence = models.FloatField()
    began_at = models.DateTimeField()
    began_known_at = models.DateTimeField()
    lost_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_known_at = models.DateTimeField(null=True, blank=True)
    ending = models.TextField(
        choices=[(each.value, each.value.replace("_", " ")) for each in Ending], default="", blank=True
    )
    losses = models.IntegerField(default=0, help_text="how often commands stayed away and came back")
    samples = models.IntegerField(default=0)
    latency_ms = models.FloatField(null=True, blank=True, help_text="mean over the session")
    highest_latency_ms = models.FloatField(null=True, blank=True)
    fps = models.FloatField(null=True, blank=True, help_text="mean over the session")
    lowest_fps = models.FloatField(null=True, blank=True)
    loss_percent = models.FloatField(null=True, blank=True, help_text="mean over the session")
    highest_loss_percent = models.FloatField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["robot_key", "-began_at"], name="session_by_robot"),
            models.Index(fields=["-began_at"], name="session_by_time"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["robot_key"], condition=~Q(state="ended"), name="one_open_session_a_robot"),
            models.CheckConstraint(
                condition=Q(state="ended", ended_at__isnull=False, ended_known_at__isnull=False, ending__gt="")
                | (~Q(state="ended") & Q(ended_at__isnull=True, ended_known_at__isnull=True, ending="")),
                name="ended_for_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("began_at")), name="ends_after"
            ),
        ]
        permissions = [("stop_session", "May ask a robot to stop its session")]

    def __str__(self) -> str:
        return f"{self.robot_id} from {self.began_at.isoformat()}: {self.state}"


class SessionEvent(models.Model):
    """A step of a robot or its session, with the evidence that decided it. Append-only."""

    id = models.BigAutoField(primary_key=True)
    robot_key = models.BinaryField()
    session = models.ForeignKey(Session, models.CASCADE, null=True, related_name="events")
    step = models.TextField(choices=[(each.value, each.value.replace("_", " ")) for each in Step])
    at = models.DateTimeField()
    known_at = models.DateTimeField()
    state = models.TextField()
    because = models.TextField()
    evidence = models.JSONField(default=list, blank=True)
    confidence = models.FloatField()
    driver = models.TextField(default="", blank=True)
    operator = models.TextField(default="", blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["robot_key", "-at"], name="step_by_robot"),
            models.Index(fields=["known_at"], name="step_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.step} at {self.at.isoformat()}"


class Participation(models.Model):
    """An operator's part of a session."""

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(Session, models.CASCADE, related_name="participations")
    operator = models.TextField(db_index=True)
    from_at = models.DateTimeField()
    until_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.operator} from {self.from_at.isoformat()}"


class QualitySample(models.Model):
    """How it went, at most once a second; the table is partitioned by day (`teleop.keeping`).

    No constraint to the session: dropping a day would have to lock all sessions for it.
    """

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(Session, models.CASCADE, related_name="quality", db_constraint=False, db_index=False)
    at = models.DateTimeField()
    latency_ms = RealField(null=True)
    fps = RealField(null=True)
    loss_percent = RealField(null=True)
    rate_hz = RealField(null=True)
    bitrate_kbps = RealField(null=True)

    class Meta:
        indexes = [models.Index(fields=["session", "at"], name="sample_by_session")]

    def __str__(self) -> str:
        return f"{self.session_id} at {self.at.isoformat()}"
