"""One-minute rollups, partitioned by month, and how far each day is rolled up."""

from django.db import migrations, models

MEASURES = (
    "battery_percent",
    "cpu_temperature_celsius",
    "cpu_load_percent",
    "memory_percent",
    "disk_percent",
    "rssi_dbm",
    "rtt_ms",
)
# `real` holds more digits than any sensor; what a robot never says costs one bit.
_MEASURED = "".join(f", {name}_count integer, {name}_min real, {name}_avg real, {name}_max real" for name in MEASURES)

MAKE_MINUTES = f"""
CREATE TABLE heartbeat_minute (
    minute timestamptz NOT NULL,
    last_status_at timestamptz,
    robot_key bytea NOT NULL,
    heartbeats integer NOT NULL,
    update_checks integer NOT NULL,
    late integer NOT NULL,
    last_status text
    {_MEASURED},
    PRIMARY KEY (robot_key, minute)
) PARTITION BY RANGE (minute);
"""
# Not CREATE TABLE … PARTITION OF: that locks out those who read the other months.
MAKE_MONTH = """
CREATE FUNCTION heartbeat_make_minute_partition(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first_day timestamp := date_trunc('month', month::timestamp);
    name text := 'heartbeat_minute_' || to_char(first_day, 'YYYYMM');
BEGIN
    IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE heartbeat_minute INCLUDING ALL)', name);
        EXECUTE format('ALTER TABLE heartbeat_minute ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
            first_day AT TIME ZONE 'UTC', (first_day + interval '1 month') AT TIME ZONE 'UTC');
    END IF;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("heartbeat", "0007_relay"),
    ]

    operations = [
        migrations.RunSQL(MAKE_MINUTES, "DROP TABLE heartbeat_minute"),
        migrations.RunSQL(MAKE_MONTH, "DROP FUNCTION heartbeat_make_minute_partition(date)"),
        migrations.CreateModel(
            name="HeartbeatMinute",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "robot_key", "minute", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("robot_key", models.BinaryField(help_text="as in Robot.key")),
                ("minute", models.DateTimeField(help_text="when the minute began")),
                ("heartbeats", models.IntegerField(help_text="heartbeats of either protocol")),
                ("update_checks", models.IntegerField()),
                ("late", models.IntegerField(help_text="those of both that arrived after their time")),
                ("last_status", models.TextField(help_text="of the last heartbeat in the minute", null=True)),
                ("last_status_at", models.DateTimeField(null=True)),
                ("battery_percent_count", models.IntegerField(null=True)),
                ("battery_percent_min", models.FloatField(null=True)),
                ("battery_percent_avg", models.FloatField(null=True)),
                ("battery_percent_max", models.FloatField(null=True)),
                ("cpu_temperature_celsius_count", models.IntegerField(null=True)),
                ("cpu_temperature_celsius_min", models.FloatField(null=True)),
                ("cpu_temperature_celsius_avg", models.FloatField(null=True)),
                ("cpu_temperature_celsius_max", models.FloatField(null=True)),
                ("cpu_load_percent_count", models.IntegerField(null=True)),
                ("cpu_load_percent_min", models.FloatField(null=True)),
                ("cpu_load_percent_avg", models.FloatField(null=True)),
                ("cpu_load_percent_max", models.FloatField(null=True)),
                ("memory_percent_count", models.IntegerField(null=True)),
                ("memory_percent_min", models.FloatField(null=True)),
                ("memory_percent_avg", models.FloatField(null=True)),
                ("memory_percent_max", models.FloatField(null=True)),
                ("disk_percent_count", models.IntegerField(null=True)),
                ("disk_percent_min", models.FloatField(null=True)),
                ("disk_percent_avg", models.FloatField(null=True)),
                ("disk_percent_max", models.FloatField(null=True)),
                ("rssi_dbm_count", models.IntegerField(null=True)),
                ("rssi_dbm_min", models.FloatField(null=True)),
                ("rssi_dbm_avg", models.FloatField(null=True)),
                ("rssi_dbm_max", models.FloatField(null=True)),
                ("rtt_ms_count", models.IntegerField(null=True)),
                ("rtt_ms_min", models.FloatField(null=True)),
                ("rtt_ms_avg", models.FloatField(null=True)),
                ("rtt_ms_max", models.FloatField(null=True)),
            ],
            options={
                "db_table": "heartbeat_minute",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="RolledUpDay",
            fields=[
                ("day", models.DateField(primary_key=True, serialize=False)),
                ("upto", models.DateTimeField(help_text="heartbeats received before this are in")),
                ("rows", models.BigIntegerField(help_text="how many those were")),
            ],
            options={
                "db_table": "heartbeat_rolled_up_day",
            },
        ),
    ]
