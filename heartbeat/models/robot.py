"""A robot: what all its spellings and calls add up to. Derived from the heartbeats, see `heartbeat.rebuilding`."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, F, Value, When

from heartbeat.models.fields import PlainJSONField, RealField


class Kind(models.TextChoices):
    """The two kinds of robot, and what could not be told."""

    LEKIWI = "lekiwi", "LeKiwi"
    XLE = "xle", "XLE"
    UNKNOWN = "unknown", "unknown"


class Side(models.TextChoices):
    """The owner that the robots' door named; empty when a call did not come through it."""

    NEW = "new", "new"
    LEGACY = "legacy", "legacy"
    UNMARKED = "", "unmarked"


class Role(models.TextChoices):
    """What `new` was for a request (DESIGN.md, "Words")."""

    OWNER = "owner", "owner"
    FAILOVER = "failover", "failover"
    SHADOW = "shadow", "shadow"


class Protocol(models.TextChoices):
    """How a robot spoke."""

    LEGACY = "legacy", "legacy"
    V2 = "v2", "v2"


class Robot(models.Model):
    """One robot, keyed by its lowered bytes. Groups of columns, each from the latest call of its sort.

    What operators set survives a rebuild of the rest.

    No index on what every heartbeat changes: an update that touches none stays on its page (HOT).
    """

    key = models.BinaryField(unique=True, help_text="lowered bytes of the id; a very long one is folded with SHA-256")
    robot_id = models.TextField(help_text="as last spelled; NUL shown as U+2400")
    bucket = models.PositiveSmallIntegerField(null=True, help_text="0–9999; none when the id has no bucket")
    kind_by_id = models.TextField(default="", db_default="")
    first_seen_at = models.DateTimeField(null=True, help_text="none: enrolled, and never heard")

    # what operators set
    enrolled_at = models.DateTimeField(
        null=True, help_text="when it was entered by hand or by a token; none: just heard"
    )
    tags = ArrayField(models.TextField(), default=list, db_default=[], blank=True)
    expected_interval_seconds = models.FloatField(null=True, blank=True, help_text="wins over what the robot says")
    grace_seconds = models.FloatField(null=True, blank=True, help_text="how much longer than expected is not yet late")

    # from the latest call of any sort
    last_seen_at = models.DateTimeField(null=True)
    protocol = models.TextField(choices=Protocol, default="", db_default="", blank=True)
    last_side = models.TextField(choices=Side, default=Side.UNMARKED, db_default=Side.UNMARKED.value, blank=True)
    last_role = models.TextField(choices=Role, default="", db_default="", blank=True)
    address = models.TextField(default="", db_default="", blank=True, help_text="where the latest call came from")

    # from the latest heartbeat, legacy or v2
    last_status_at = models.DateTimeField(null=True)
    status = models.TextField(default="", db_default="", blank=True)
    version = models.TextField(null=True, blank=True)  # noqa: DJ001 - null and "" are two answers in legacy's contract
    deployment_id = models.TextField(null=True, blank=True)  # noqa: DJ001
    message = models.TextField(null=True, blank=True)  # noqa: DJ001
    health = PlainJSONField(null=True)

    # from the latest update check
    last_check_at = models.DateTimeField(null=True)
    group = models.TextField(default="", db_default="", blank=True)
    kind_by_group = models.TextField(default="", db_default="")

    # from the latest v2 heartbeat
    last_v2_at = models.DateTimeField(null=True)
    reported_kind = models.TextField(default="", db_default="")
    site = models.TextField(default="", db_default="", blank=True)
    firmware = models.TextField(default="", db_default="", blank=True)
    battery_percent = RealField(null=True, help_text="0–100; none when wired or not told")
    interval_seconds = RealField(null=True, help_text="when it expects to speak again, as it said itself")
    payload = PlainJSONField(null=True, help_text="what it said of operation: `teleop`")
    sent_at = models.DateTimeField(null=True, help_text="by its own clock")

    # from the latest v2 heartbeat of a run: what is newer than `sequence` was not stored before
    boot_id = models.TextField(null=True)  # noqa: DJ001 - null: it never named a run
    boot_at = models.DateTimeField(null=True, help_text="when this run was first heard")
    sequence = models.BigIntegerField(null=True)
    clock_offset_seconds = models.FloatField(null=True, help_text="server's time minus the robot's, as estimated")

    last_acknowledged_as_owner_at = models.DateTimeField(
        null=True, help_text="its own heartbeat that `new` acknowledged as its owner"
    )
    kind = models.GeneratedField(
        expression=Case(
            When(reported_kind__gt="", then=F("reported_kind")),
            When(kind_by_id__gt="", then=F("kind_by_id")),
            When(kind_by_group__gt="", then=F("kind_by_group")),
            default=Value(Kind.UNKNOWN.value, output_field=models.TextField()),
            output_field=models.TextField(),
        ),
        output_field=models.TextField(),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(bucket__isnull=True) | models.Q(bucket__lt=10_000), name="bucket_in_range"
            ),
            models.CheckConstraint(condition=models.Q(first_seen_at__lte=F("last_seen_at")), name="first_before_last"),
            models.CheckConstraint(
                condition=models.Q(first_seen_at__isnull=False, last_seen_at__isnull=False)
                | models.Q(first_seen_at__isnull=True, last_seen_at__isnull=True, enrolled_at__isnull=False),
                name="heard_or_enrolled",
            ),
        ]

    def __str__(self) -> str:
        return self.robot_id

    @property
    def every_seconds(self) -> float:
        """How often it is expected to speak: as an operator said, or it did itself, or as the fleet does."""
        return self.expected_interval_seconds or self.interval_seconds or settings.ROBOT_INTERVAL_SECONDS
