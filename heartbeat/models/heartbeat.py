"""The raw log: every heartbeat and update check that was acknowledged, once; one partition a day."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from heartbeat.models.fields import PlainJSONField, RealField
from heartbeat.models.registers import Boot, Profile, Spelling
from heartbeat.models.robot import Protocol, Role, Side
from heartbeat.rules.reporting import reported


class Call(models.TextChoices):
    """What a robot called."""

    STATUS = "status", "POST /api/robot/status"
    CHECK_UPDATE = "check_update", "GET /api/check-update"
    HEARTBEAT = "heartbeat", "POST /api/v2/heartbeat"


class Heartbeats(models.QuerySet):
    """The log by whose it is."""

    def of_robot(self, robot_key: bytes) -> "Heartbeats":
        """Those of a robot in all its spellings. By number, so that the key's index gives them in order of time."""
        spellings = Spelling.objects.filter(robot_key=robot_key).values_list("id", flat=True)
        return self.filter(spelling_id__in=list(spellings))


class Heartbeat(models.Model):
    """One acknowledged call. Append-only but for `role`, which a second arrival may raise from shadow.

    Robots and legacy rows are derived from this table and can be rebuilt from it. It is partitioned by `received_at`,
    so what identifies a call is unique within a day by an index, and across days by `heartbeat.ingest`. No foreign
    key is enforced: each would cost a look-up a row; the registers it names are never deleted from.
    """

    pk = models.CompositePrimaryKey("spelling", "received_at")
    spelling = models.ForeignKey(Spelling, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    received_at = models.DateTimeField(help_text="by this system's clock, rising in the order of commits")
    at = models.DateTimeField(null=True, help_text="when it was so, if the heartbeat came late; none: as received")
    call = models.TextField(choices=Call)
    role = models.TextField(choices=Role)
    side = models.TextField(choices=Side, default=Side.UNMARKED, blank=True)
    address = models.TextField(default="", blank=True)
    request_id = models.UUIDField(
        null=True, help_text="made by the robots' door: identical for primary, copy and retry; none with a sequence"
    )

    status = models.TextField(null=True)  # noqa: DJ001 - null and "" are two answers in legacy's contract
    message = models.TextField(null=True)  # noqa: DJ001
    deployment_id = models.TextField(null=True)  # noqa: DJ001
    version = models.TextField(null=True)  # noqa: DJ001
    health = PlainJSONField(null=True)
    current_version = models.TextField(null=True)  # noqa: DJ001
    group = models.TextField(null=True)  # noqa: DJ001
    exact = PlainJSONField(null=True, help_text="fields that a text column cannot hold (a NUL in them)")

    boot = models.ForeignKey(Boot, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+")
    sequence = models.BigIntegerField(null=True, help_text="rises within a boot")
    sent_at = models.DateTimeField(null=True, help_text="by the robot's own clock")
    profile = models.ForeignKey(
        Profile, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    battery_percent = RealField(null=True)
    cpu_temperature_celsius = RealField(null=True)
    cpu_load_percent = RealField(null=True)
    memory_percent = RealField(null=True)
    disk_percent = RealField(null=True)
    rssi_dbm = RealField(null=True)
    rtt_ms = RealField(null=True)
    x_vel = RealField(null=True, help_text="metres per second")
    y_vel = RealField(null=True, help_text="metres per second")
    theta_vel = RealField(null=True, help_text="degrees per second")
    next_in_s = RealField(null=True)
    command_age_ms = RealField(null=True)
    command_rate_hz = RealField(null=True)
    watchdog_active = models.BooleanField(null=True)
    observers = models.IntegerField(null=True)
    host_up = models.BooleanField(null=True)
    driver = models.TextField(null=True)  # noqa: DJ001
    services = models.TextField(null=True, help_text="one letter a service: active, inactive, unknown")  # noqa: DJ001
    motors = ArrayField(RealField(), null=True, help_text="the numbers that the profile's channels name, in order")
    cameras = ArrayField(RealField(null=True), null=True, help_text="frames per second")
    rest = PlainJSONField(null=True, help_text="what has no column: `extra`, or a whole older `payload`")

    objects = Heartbeats.as_manager()

    class Meta:
        # partitioned, so made by the migration's own SQL
        constraints = [
            models.CheckConstraint(condition=models.Q(call__in=Call.values), name="known_call"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="known_role"),
        ]

    def __str__(self) -> str:
        return f"{self.call} at {self.received_at.isoformat()}"

    @property
    def protocol(self) -> Protocol:
        """How the robot spoke."""
        return Protocol.V2 if self.call == Call.HEARTBEAT else Protocol.LEGACY

    def as_reported(self) -> dict[str, Any] | None:
        """A v2 heartbeat as its robot said it; None for a legacy call. Needs `profile` and `boot`."""
        if self.call != Call.HEARTBEAT:
            return None
        document = self.profile.document if self.profile else {}
        return reported(vars(self), document, self.boot.boot_id if self.boot else None)
