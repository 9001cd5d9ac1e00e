"""The log in partitions of a day, with typed columns; what repeats in it is kept once, in registers."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import heartbeat.models.fields

#: a day of the log with what cannot be unique across days; true if it was made now
MAKE_PARTITION = """
CREATE FUNCTION heartbeat_make_partition(day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE part text := 'heartbeat_heartbeat_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF to_regclass(part) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I PARTITION OF heartbeat_heartbeat FOR VALUES FROM (%L) TO (%L)',
                   part, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
    PERFORM heartbeat_identify(part);
    RETURN true;
END $$;
CREATE FUNCTION heartbeat_identify(part text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (request_id) WHERE request_id IS NOT NULL', part || '_request', part);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (boot_id, sequence) WHERE sequence IS NOT NULL', part || '_number', part);
END $$;
"""
#: eight-byte columns first, then four: nothing is lost to alignment
LOG = """
ALTER TABLE heartbeat_heartbeat RENAME TO heartbeat_heartbeat_before;
CREATE TABLE heartbeat_heartbeat (
    received_at timestamptz NOT NULL, at timestamptz, sent_at timestamptz, sequence bigint,
    spelling_id integer NOT NULL, boot_id integer, profile_id integer, observers integer,
    battery_percent real, cpu_temperature_celsius real, cpu_load_percent real, memory_percent real, disk_percent real,
    rssi_dbm real, rtt_ms real, x_vel real, y_vel real, theta_vel real, next_in_s real,
    command_age_ms real, command_rate_hz real, watchdog_active boolean, host_up boolean, request_id uuid,
    call text NOT NULL, role text NOT NULL, side text NOT NULL, address text NOT NULL,
    status text, message text, deployment_id text, version text, health json, current_version text, "group" text,
    exact json, driver text, services text, motors real[], cameras real[], rest json,
    PRIMARY KEY (spelling_id, received_at),
    CONSTRAINT log_known_call CHECK (call IN ('status', 'check_update', 'heartbeat')),
    CONSTRAINT log_known_role CHECK (role IN ('owner', 'failover', 'shadow'))
) PARTITION BY RANGE (received_at);
CREATE INDEX heartbeat_heartbeat_received ON heartbeat_heartbeat USING brin (received_at) WITH (pages_per_range = 16);
CREATE TABLE heartbeat_heartbeat_default PARTITION OF heartbeat_heartbeat DEFAULT;
SELECT heartbeat_identify('heartbeat_heartbeat_default');
SELECT heartbeat_make_partition(day::date)
FROM generate_series((now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date + 7, '1 day') AS day;
"""
#: for people and their SQL: names instead of numbers
VIEWS = """
CREATE VIEW heartbeat_history AS
SELECT s.robot_id, h.received_at, coalesce(h.at, h.received_at) AS at, h.call, h.role, h.side, h.address, h.request_id,
    b.boot_id, h.sequence, h.sent_at, h.status, h.message, p.document ->> 'kind' AS kind, p.document ->> 'site' AS site,
    p.document ->> 'firmware' AS firmware, coalesce(h.version, p.document ->> 'version') AS version,
    coalesce(h.deployment_id, p.document ->> 'deployment_id') AS deployment_id, h.health, h.current_version, h."group",
    h.battery_percent, h.cpu_temperature_celsius, h.cpu_load_percent, h.memory_percent, h.disk_percent, h.rssi_dbm,
    h.rtt_ms, h.x_vel, h.y_vel, h.theta_vel, h.next_in_s, h.command_age_ms, h.command_rate_hz, h.watchdog_active,
    h.observers, h.host_up, h.driver, h.services, p.document -> 'services' AS service_names, h.cameras,
    p.document -> 'cameras' AS camera_names, h.rest, h.spelling_id, h.exact
FROM heartbeat_heartbeat h JOIN heartbeat_spelling s ON s.id = h.spelling_id
LEFT JOIN heartbeat_boot b ON b.id = h.boot_id LEFT JOIN heartbeat_profile p ON p.id = h.profile_id;
CREATE VIEW heartbeat_motor AS
SELECT h.spelling_id, h.received_at, told.motor_id, told.name, told.channel, h.motors[told.number] AS value
FROM heartbeat_heartbeat h JOIN heartbeat_profile p ON p.id = h.profile_id
JOIN LATERAL (
    SELECT (p.document -> 'motors' -> place.motor ->> 0)::integer AS motor_id,
        p.document -> 'motors' -> place.motor ->> 1 AS name,
        ('{position_degrees,velocity,temperature_celsius,voltage_volts,load_percent,current_milliamperes,status}'::text[])
            [(one.channel ->> 0)::integer + 1] AS channel,
        row_number() OVER (ORDER BY one.n, place.n)::integer AS number
    FROM jsonb_array_elements(p.document -> 'channels') WITH ORDINALITY AS one(channel, n),
    LATERAL (
        SELECT motor, row_number() OVER () AS n FROM (
            SELECT generate_series(0, jsonb_array_length(p.document -> 'motors') - 1) AS motor
            WHERE jsonb_typeof(one.channel -> 1) = 'null'
            UNION ALL
            SELECT item::integer FROM jsonb_array_elements_text(
                CASE WHEN jsonb_typeof(one.channel -> 1) = 'array' THEN one.channel -> 1 ELSE '[]' END) AS item
        ) AS places
    ) AS place
) AS told ON true
WHERE h.motors IS NOT NULL;
"""
MOVE_IN = """
INSERT INTO heartbeat_spelling (key, robot_key, robot_id, first_at)
SELECT w.key, min(known.robot_key), w.robot_id, w.first_at FROM heartbeat_legacyrow w
JOIN (SELECT DISTINCT robot_id, robot_key FROM heartbeat_heartbeat_before) AS known USING (robot_id)
GROUP BY w.key, w.robot_id, w.first_at;
INSERT INTO heartbeat_boot (robot_key, boot_id, first_at)
SELECT robot_key, boot_id, min(received_at) FROM heartbeat_heartbeat_before WHERE boot_id IS NOT NULL GROUP BY 1, 2;
SELECT heartbeat_make_partition(day)
FROM (SELECT DISTINCT (received_at AT TIME ZONE 'UTC')::date AS day FROM heartbeat_heartbeat_before) AS days;
INSERT INTO heartbeat_heartbeat (
    spelling_id, received_at, call, role, side, address, request_id, status, message, deployment_id, version, health,
    current_version, "group", exact, boot_id, sequence, sent_at, rest
)
SELECT s.id, o.received_at + (o.same - 1) * interval '1 microsecond', o.call, o.role, o.side, o.address, o.request_id,
    o.status, o.message, o.deployment_id, o.version, o.health, o.current_version, o."group", o.exact, b.id,
    CASE WHEN o.sequence_again = 1 AND b.id IS NOT NULL THEN o.sequence END, o.sent_at,
    CASE WHEN o.payload IS NOT NULL THEN json_build_object('payload', o.payload) END
FROM (
    SELECT *, row_number() OVER (PARTITION BY robot_id, received_at ORDER BY id) AS same,
        row_number() OVER (PARTITION BY robot_key, boot_id, sequence ORDER BY id) AS sequence_again
    FROM heartbeat_heartbeat_before
) AS o
JOIN heartbeat_spelling s ON s.robot_id = o.robot_id AND s.robot_key = o.robot_key
LEFT JOIN heartbeat_boot b ON b.robot_key = o.robot_key AND b.boot_id = o.boot_id;
DROP TABLE heartbeat_heartbeat_before;
"""
MOVE_BACK = """
CREATE TABLE heartbeat_heartbeat_before (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, request_id uuid NOT NULL UNIQUE, robot_key bytea NOT NULL,
    robot_id text NOT NULL, received_at timestamptz NOT NULL, call text NOT NULL, protocol text NOT NULL,
    role text NOT NULL, side text NOT NULL, address text NOT NULL, deployment_id text, version text, status text,
    message text, health json, current_version text, "group" text, exact json, boot_id text, sequence bigint,
    sent_at timestamptz, payload json,
    CONSTRAINT known_call CHECK (call IN ('status', 'check_update', 'heartbeat')),
    CONSTRAINT known_role CHECK (role IN ('owner', 'failover', 'shadow'))
);
INSERT INTO heartbeat_heartbeat_before (
    request_id, robot_key, robot_id, received_at, call, protocol, role, side, address, deployment_id, version, status,
    message, health, current_version, "group", exact, boot_id, sequence, sent_at, payload
)
SELECT coalesce(h.request_id, gen_random_uuid()), s.robot_key, h.robot_id, h.received_at, h.call,
    CASE h.call WHEN 'heartbeat' THEN 'v2' ELSE 'legacy' END, h.role, h.side, h.address, h.deployment_id, h.version,
    h.status, h.message, h.health, h.current_version, h."group", h.exact, h.boot_id, h.sequence, h.sent_at,
    CASE WHEN h.call = 'heartbeat' THEN coalesce(h.rest -> 'payload', json_strip_nulls(json_build_object(
        'robot_id', h.robot_id, 'kind', h.kind, 'site', h.site, 'firmware', h.firmware, 'version', h.version,
        'deployment_id', h.deployment_id, 'boot_id', h.boot_id, 'sequence', h.sequence, 'sent_at', h.sent_at,
        'status', h.status, 'message', h.message, 'battery_percent', h.battery_percent,
        'cpu_temperature_celsius', h.cpu_temperature_celsius, 'cpu_load_percent', h.cpu_load_percent,
        'memory_percent', h.memory_percent, 'disk_percent', h.disk_percent, 'next_in_s', h.next_in_s,
        'network', json_build_object('rssi_dbm', h.rssi_dbm, 'rtt_ms', h.rtt_ms),
        'base', json_build_object('x_vel', h.x_vel, 'y_vel', h.y_vel, 'theta_vel', h.theta_vel),
        'teleop', json_build_object('command_age_ms', h.command_age_ms, 'command_rate_hz', h.command_rate_hz,
            'watchdog_active', h.watchdog_active, 'observers', h.observers, 'host_up', h.host_up, 'driver', h.driver),
        'motors', (SELECT json_agg(motor) FROM (
            SELECT jsonb_build_object('id', motor_id, 'name', name) || jsonb_object_agg(channel, value) AS motor
            FROM heartbeat_motor m WHERE m.spelling_id = h.spelling_id AND m.received_at = h.received_at
            GROUP BY motor_id, name) AS motors),
        'extra', h.rest -> 'extra'))) END
FROM heartbeat_history h JOIN heartbeat_spelling s ON s.id = h.spelling_id;
DROP VIEW heartbeat_motor;
DROP VIEW heartbeat_history;
DROP TABLE heartbeat_heartbeat;
DROP FUNCTION heartbeat_make_partition;
DROP FUNCTION heartbeat_identify;
ALTER TABLE heartbeat_heartbeat_before RENAME TO heartbeat_heartbeat;
CREATE INDEX heartbeats_of_a_robot ON heartbeat_heartbeat (robot_key, received_at DESC);
"""


class Migration(migrations.Migration):
    dependencies = [("heartbeat", "0005_access")]
    operations = [
        migrations.CreateModel(
            name="Boot",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("robot_key", models.BinaryField()),
                ("boot_id", models.TextField()),
                ("first_at", models.DateTimeField(help_text="when it was first heard")),
            ],
        ),
        migrations.CreateModel(
            name="Profile",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("digest", models.BinaryField(help_text="of the document", unique=True)),
                ("document", models.JSONField()),
            ],
        ),
        migrations.CreateModel(
            name="Spelling",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                (
                    "key",
                    models.BinaryField(help_text="exact bytes; a very long id is folded with SHA-256", unique=True),
                ),
                ("robot_key", models.BinaryField(db_index=True, help_text="lowered bytes")),
                ("robot_id", models.TextField(help_text="NUL shown as U+2400")),
                ("first_at", models.DateTimeField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="legacyrow",
            name="row_was_heard",
        ),
        migrations.AddConstraint(
            model_name="boot",
            constraint=models.UniqueConstraint(fields=("robot_key", "boot_id"), name="one_boot_a_name"),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(MAKE_PARTITION + LOG + VIEWS + MOVE_IN, MOVE_BACK)],
            state_operations=[
                migrations.DeleteModel("Heartbeat"),
                migrations.CreateModel(
                    name="Heartbeat",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "spelling", "received_at", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        (
                            "received_at",
                            models.DateTimeField(help_text="by this system's clock, rising in the order of commits"),
                        ),
                        (
                            "at",
                            models.DateTimeField(
                                help_text="when it was so, if the heartbeat came late; none: as received", null=True
                            ),
                        ),
                        (
                            "call",
                            models.TextField(
                                choices=[
                                    ("status", "POST /api/robot/status"),
                                    ("check_update", "GET /api/check-update"),
                                    ("heartbeat", "POST /api/v2/heartbeat"),
                                ]
                            ),
                        ),
                        (
                            "role",
                            models.TextField(
                                choices=[("owner", "owner"), ("failover", "failover"), ("shadow", "shadow")]
                            ),
                        ),
                        (
                            "side",
                            models.TextField(
                                blank=True, choices=[("new", "new"), ("legacy", "legacy"), ("", "unmarked")], default=""
                            ),
                        ),
                        ("address", models.TextField(blank=True, default="")),
                        (
                            "request_id",
                            models.UUIDField(
                                help_text="made by the robots' door: identical for primary, copy and retry; none with a sequence",
                                null=True,
                            ),
                        ),
                        ("status", models.TextField(null=True)),
                        ("message", models.TextField(null=True)),
                        ("deployment_id", models.TextField(null=True)),
                        ("version", models.TextField(null=True)),
                        ("health", heartbeat.models.fields.PlainJSONField(null=True)),
                        ("current_version", models.TextField(null=True)),
                        ("group", models.TextField(null=True)),
                        (
                            "exact",
                            heartbeat.models.fields.PlainJSONField(
                                help_text="fields that a text column cannot hold (a NUL in them)", null=True
                            ),
                        ),
                        ("sequence", models.BigIntegerField(help_text="rises within a boot", null=True)),
                        ("sent_at", models.DateTimeField(help_text="by the robot's own clock", null=True)),
                        ("battery_percent", heartbeat.models.fields.RealField(null=True)),
                        ("cpu_temperature_celsius", heartbeat.models.fields.RealField(null=True)),
                        ("cpu_load_percent", heartbeat.models.fields.RealField(null=True)),
                        ("memory_percent", heartbeat.models.fields.RealField(null=True)),
                        ("disk_percent", heartbeat.models.fields.RealField(null=True)),
                        ("rssi_dbm", heartbeat.models.fields.RealField(null=True)),
                        ("rtt_ms", heartbeat.models.fields.RealField(null=True)),
                        ("x_vel", heartbeat.models.fields.RealField(help_text="metres per second", null=True)),
                        ("y_vel", heartbeat.models.fields.RealField(help_text="metres per second", null=True)),
                        ("theta_vel", heartbeat.models.fields.RealField(help_text="degrees per second", null=True)),
                        ("next_in_s", heartbeat.models.fields.RealField(null=True)),
                        ("command_age_ms", heartbeat.models.fields.RealField(null=True)),
                        ("command_rate_hz", heartbeat.models.fields.RealField(null=True)),
                        ("watchdog_active", models.BooleanField(null=True)),
                        ("observers", models.IntegerField(null=True)),
                        ("host_up", models.BooleanField(null=True)),
                        ("driver", models.TextField(null=True)),
                        (
                            "services",
                            models.TextField(help_text="one letter a service: active, inactive, unknown", null=True),
                        ),
                        (
                            "motors",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=heartbeat.models.fields.RealField(),
                                help_text="the numbers that the profile's channels name, in order",
                                null=True,
                                size=None,
                            ),
                        ),
                        (
                            "cameras",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=heartbeat.models.fields.RealField(null=True),
                                help_text="frames per second",
                                null=True,
                                size=None,
                            ),
                        ),
                        (
                            "rest",
                            heartbeat.models.fields.PlainJSONField(
                                help_text="what has no column: `extra`, or a whole older `payload`", null=True
                            ),
                        ),
                    ],
                ),
                migrations.AddField(
                    model_name="heartbeat",
                    name="boot",
                    field=models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="heartbeat.boot",
                    ),
                ),
                migrations.AddField(
                    model_name="heartbeat",
                    name="profile",
                    field=models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="heartbeat.profile",
                    ),
                ),
                migrations.AddField(
                    model_name="heartbeat",
                    name="spelling",
                    field=models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="heartbeat.spelling",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="heartbeat",
                    constraint=models.CheckConstraint(
                        condition=models.Q(("call__in", ["status", "check_update", "heartbeat"])), name="known_call"
                    ),
                ),
                migrations.AddConstraint(
                    model_name="heartbeat",
                    constraint=models.CheckConstraint(
                        condition=models.Q(("role__in", ["owner", "failover", "shadow"])), name="known_role"
                    ),
                ),
            ],
        ),
    ]
