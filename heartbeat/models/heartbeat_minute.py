"""What a minute of heartbeats adds up to, per robot; kept long after the heartbeats themselves are gone."""

from django.db import models

#: what is kept as smallest, mean and largest value
MEASURES = (
    "battery_percent",
    "cpu_temperature_celsius",
    "cpu_load_percent",
    "memory_percent",
    "disk_percent",
    "rssi_dbm",
    "rtt_ms",
)


class HeartbeatMinute(models.Model):
    """One minute of one robot: what it did and measured then, whenever the heartbeats arrived.

    Beside the columns below there are, for each name in `MEASURES`, `<name>_count` (heartbeats that said it),
    `<name>_min`, `<name>_avg` and `<name>_max`. The table is partitioned by month (migration 0008_rollups).
    """

    pk = models.CompositePrimaryKey("robot_key", "minute")
    robot_key = models.BinaryField(help_text="as in Robot.key")
    minute = models.DateTimeField(help_text="when the minute began")
    heartbeats = models.IntegerField(help_text="heartbeats of either protocol")
    update_checks = models.IntegerField()
    late = models.IntegerField(help_text="those of both that arrived after their time")
    last_status = models.TextField(null=True, help_text="of the last heartbeat in the minute")  # noqa: DJ001
    last_status_at = models.DateTimeField(null=True)

    battery_percent_count = models.IntegerField(null=True)
    battery_percent_min = models.FloatField(null=True)
    battery_percent_avg = models.FloatField(null=True)
    battery_percent_max = models.FloatField(null=True)
    cpu_temperature_celsius_count = models.IntegerField(null=True)
    cpu_temperature_celsius_min = models.FloatField(null=True)
    cpu_temperature_celsius_avg = models.FloatField(null=True)
    cpu_temperature_celsius_max = models.FloatField(null=True)
    cpu_load_percent_count = models.IntegerField(null=True)
    cpu_load_percent_min = models.FloatField(null=True)
    cpu_load_percent_avg = models.FloatField(null=True)
    cpu_load_percent_max = models.FloatField(null=True)
    memory_percent_count = models.IntegerField(null=True)
    memory_percent_min = models.FloatField(null=True)
    memory_percent_avg = models.FloatField(null=True)
    memory_percent_max = models.FloatField(null=True)
    disk_percent_count = models.IntegerField(null=True)
    disk_percent_min = models.FloatField(null=True)
    disk_percent_avg = models.FloatField(null=True)
    disk_percent_max = models.FloatField(null=True)
    rssi_dbm_count = models.IntegerField(null=True)
    rssi_dbm_min = models.FloatField(null=True)
    rssi_dbm_avg = models.FloatField(null=True)
    rssi_dbm_max = models.FloatField(null=True)
    rtt_ms_count = models.IntegerField(null=True)
    rtt_ms_min = models.FloatField(null=True)
    rtt_ms_avg = models.FloatField(null=True)
    rtt_ms_max = models.FloatField(null=True)

    class Meta:
        managed = False
        db_table = "heartbeat_minute"

    def __str__(self) -> str:
        return f"{self.minute.isoformat()}: {self.heartbeats} heartbeats"


class RolledUpDay(models.Model):
    """How far the heartbeats received on a day are in the rollups."""

    day = models.DateField(primary_key=True)
    upto = models.DateTimeField(help_text="heartbeats received before this are in")
    rows = models.BigIntegerField(help_text="how many those were")

    class Meta:
        db_table = "heartbeat_rolled_up_day"

    def __str__(self) -> str:
        return f"{self.day} up to {self.upto.isoformat()}"
