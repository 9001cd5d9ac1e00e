"""Tokens, closed legacy paths, entering a robot in advance, and how ingest learns of changes."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# A robot is entered before it is heard, or, when it was heard, marked as enrolled. An empty text changes nothing.
ENTER_ROBOT = """
CREATE FUNCTION heartbeat_enter_robot(
    the_key bytea, the_id text, the_bucket smallint, the_kind_by_id text, the_kind text, the_site text, the_tags text[]
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO heartbeat_robot AS r (key, robot_id, bucket, kind_by_id, enrolled_at, reported_kind, site, tags)
    VALUES (the_key, the_id, the_bucket, the_kind_by_id, now(), the_kind, the_site, the_tags)
    ON CONFLICT (key) DO UPDATE SET
        enrolled_at = coalesce(r.enrolled_at, excluded.enrolled_at),
        reported_kind = coalesce(nullif(excluded.reported_kind, ''), r.reported_kind),
        site = coalesce(nullif(excluded.site, ''), r.site),
        tags = ARRAY(SELECT DISTINCT tag COLLATE "C" AS tag FROM unnest(r.tags || excluded.tags) AS tag ORDER BY tag)
$$;
"""
LEAVE_ROBOT = "DROP FUNCTION heartbeat_enter_robot;"

# One statement, so one transaction and one round trip, for ingest and for Django alike. Calls for one robot wait for
# each other (it gets one token), calls with one enrolment token at its counter.
ENROL = """
CREATE FUNCTION heartbeat_lock_tokens_of(the_key bytea) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended(encode(the_key, 'hex'), 5))
$$;
CREATE FUNCTION heartbeat_enrol(
    presented bytea, the_key bytea, the_id text, the_bucket smallint, the_kind_by_id text,
    the_kind text, the_site text, the_tags text[], the_digest bytea, the_prefix text
) RETURNS TABLE (outcome text, token_id bigint) LANGUAGE plpgsql AS $$
DECLARE
    enrolment heartbeat_enrolmenttoken;
BEGIN
    PERFORM heartbeat_lock_tokens_of(the_key);
    SELECT * INTO enrolment FROM heartbeat_enrolmenttoken e WHERE e.digest = presented;
    IF enrolment.id IS NULL OR enrolment.revoked_at IS NOT NULL OR enrolment.expires_at <= now() THEN
        RETURN QUERY SELECT 'unknown_token', NULL::bigint;
        RETURN;
    END IF;
    -- A token that was enrolled a moment ago and never used was lost with its answer: the robot asks again.
    IF NOT enrolment.replaces AND EXISTS (
        SELECT FROM heartbeat_robottoken t
        WHERE t.robot_key = the_key AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())
          AND (t.enrolled_with_id IS DISTINCT FROM enrolment.id OR t.last_used_at IS NOT NULL
               OR t.created_at < now() - interval '10 minutes')
    ) THEN
        RETURN QUERY SELECT 'has_token', NULL::bigint;
        RETURN;
    END IF;
    UPDATE heartbeat_enrolmenttoken e SET uses_left = e.uses_left - 1, last_used_at = now()
    WHERE e.id = enrolment.id AND e.uses_left > 0 AND e.revoked_at IS NULL;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'used_up', NULL::bigint;
        RETURN;
    END IF;
    UPDATE heartbeat_robottoken t SET revoked_at = now(), revoked_by = 'enrolment ' || enrolment.prefix || '…'
    WHERE t.robot_key = the_key AND t.revoked_at IS NULL;
    PERFORM heartbeat_enter_robot(
        the_key, the_id, the_bucket, the_kind_by_id, coalesce(nullif(enrolment.kind, ''), the_kind),
        coalesce(nullif(enrolment.site, ''), the_site),
        ARRAY(SELECT DISTINCT tag COLLATE "C" AS tag FROM unnest(enrolment.tags || the_tags) AS tag ORDER BY tag)
    );
    RETURN QUERY INSERT INTO heartbeat_robottoken AS t
        (robot_key, robot_id, digest, prefix, created_at, created_by, enrolled_with_id)
        VALUES (the_key, the_id, the_digest, the_prefix, now(), 'enrolment ' || enrolment.prefix || '…', enrolment.id)
        RETURNING 'enrolled', t.id;
END $$;
"""
FORGET_ENROL = "DROP FUNCTION heartbeat_enrol; DROP FUNCTION heartbeat_lock_tokens_of;"

# Ingest listens (heartbeat.ingest.following). What is written down about use changes nothing of who may speak.
NOTIFY = """
CREATE FUNCTION heartbeat_notify_tokens() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids text;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        ids := 'tokens';
    ELSIF TG_OP = 'UPDATE' THEN
        SELECT string_agg(new_row.id::text, ',') INTO ids FROM changed AS new_row JOIN before AS old_row USING (id)
        WHERE (new_row.robot_key, new_row.robot_id, new_row.digest, new_row.expires_at, new_row.revoked_at)
            IS DISTINCT FROM
            (old_row.robot_key, old_row.robot_id, old_row.digest, old_row.expires_at, old_row.revoked_at);
    ELSE
        SELECT string_agg(id::text, ',') INTO ids FROM changed;
    END IF;
    IF ids IS NOT NULL THEN
        -- A notice holds at most 8,000 bytes.
        PERFORM pg_notify('heartbeat_access', CASE WHEN length(ids) > 7000 THEN 'tokens' ELSE ids END);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tokens_added AFTER INSERT ON heartbeat_robottoken
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION heartbeat_notify_tokens();
CREATE TRIGGER tokens_changed AFTER UPDATE ON heartbeat_robottoken
    REFERENCING NEW TABLE AS changed OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION heartbeat_notify_tokens();
CREATE TRIGGER tokens_deleted AFTER DELETE ON heartbeat_robottoken
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION heartbeat_notify_tokens();
CREATE TRIGGER tokens_truncated AFTER TRUNCATE ON heartbeat_robottoken
    FOR EACH STATEMENT EXECUTE FUNCTION heartbeat_notify_tokens();
CREATE FUNCTION heartbeat_notify_closures() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('heartbeat_access', 'closures');
    RETURN NULL;
END $$;
CREATE TRIGGER closures_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON heartbeat_legacyclosure
    FOR EACH STATEMENT EXECUTE FUNCTION heartbeat_notify_closures();
"""
BE_SILENT = """
DROP TRIGGER closures_changed ON heartbeat_legacyclosure;
DROP FUNCTION heartbeat_notify_closures;
DROP TRIGGER tokens_added ON heartbeat_robottoken;
DROP TRIGGER tokens_changed ON heartbeat_robottoken;
DROP TRIGGER tokens_deleted ON heartbeat_robottoken;
DROP TRIGGER tokens_truncated ON heartbeat_robottoken;
DROP FUNCTION heartbeat_notify_tokens;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("heartbeat", "0004_liveness"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="EnrolmentToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.BinaryField(help_text="SHA-256 of the token", unique=True)),
                ("prefix", models.TextField(help_text="its first characters, to tell it from others")),
                ("created_at", models.DateTimeField()),
                ("created_by", models.TextField()),
                ("expires_at", models.DateTimeField(help_text="none: it does not expire", null=True)),
                ("revoked_at", models.DateTimeField(null=True)),
                ("revoked_by", models.TextField(blank=True, db_default="", default="")),
                ("last_used_at", models.DateTimeField(help_text="to within some minutes", null=True)),
                ("note", models.TextField(blank=True, db_default="", default="", help_text="what it is for")),
                ("uses_granted", models.PositiveIntegerField()),
                ("uses_left", models.PositiveIntegerField()),
                ("kind", models.TextField(blank=True, db_default="", default="")),
                ("site", models.TextField(blank=True, db_default="", default="")),
                (
                    "tags",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, db_default=[], default=list, size=None
                    ),
                ),
                (
                    "replaces",
                    models.BooleanField(
                        default=False,
                        help_text="whether a robot that has a token may enrol again, which revokes its old ones",
                    ),
                ),
            ],
            options={
                "permissions": [("issue_enrolment_token", "May issue and revoke enrolment tokens")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("uses_left__lte", models.F("uses_granted"))),
                        name="no_more_uses_than_granted",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("expires_at__isnull", False)), name="enrolment_token_expires"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="LegacyClosure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.TextField(blank=True, db_default="", default="")),
                ("site", models.TextField(blank=True, db_default="", default="")),
                ("tag", models.TextField(blank=True, db_default="", default="")),
                ("reason", models.TextField()),
                ("closed_at", models.DateTimeField()),
                ("closed_by", models.TextField()),
                ("opened_at", models.DateTimeField(help_text="none: it is closed", null=True)),
                ("opened_by", models.TextField(blank=True, db_default="", default="")),
            ],
            options={
                "ordering": ["-id"],
                "permissions": [("close_legacy_path", "May close and open the legacy path for a cohort")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__gt", ""), ("site__gt", ""), ("tag__gt", ""), _connector="OR"),
                        name="closes_a_cohort",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("opened_at", None)),
                        fields=("kind", "site", "tag"),
                        name="one_closure_a_cohort",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="OperatorToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.BinaryField(help_text="SHA-256 of the token", unique=True)),
                ("prefix", models.TextField(help_text="its first characters, to tell it from others")),
                ("created_at", models.DateTimeField()),
                ("created_by", models.TextField()),
                ("expires_at", models.DateTimeField(help_text="none: it does not expire", null=True)),
                ("revoked_at", models.DateTimeField(null=True)),
                ("revoked_by", models.TextField(blank=True, db_default="", default="")),
                ("last_used_at", models.DateTimeField(help_text="to within some minutes", null=True)),
                ("name", models.TextField(help_text="what it is for")),
                ("scopes", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="operator_tokens",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "permissions": [
                    ("issue_operator_token", "May issue tokens for their own scripts"),
                    ("manage_operator_tokens", "May see and revoke everybody's tokens"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("expires_at__isnull", False)), name="operator_token_expires"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RobotToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.BinaryField(help_text="SHA-256 of the token", unique=True)),
                ("prefix", models.TextField(help_text="its first characters, to tell it from others")),
                ("created_at", models.DateTimeField()),
                ("created_by", models.TextField()),
                ("expires_at", models.DateTimeField(help_text="none: it does not expire", null=True)),
                ("revoked_at", models.DateTimeField(null=True)),
                ("revoked_by", models.TextField(blank=True, db_default="", default="")),
                ("last_used_at", models.DateTimeField(help_text="to within some minutes", null=True)),
                ("robot_key", models.BinaryField(help_text="lowered bytes of the robot's id, as in Robot.key")),
                ("robot_id", models.TextField(help_text="the robot's id as it was given; a NUL is shown as U+2400")),
                (
                    "enrolled_with",
                    models.ForeignKey(
                        help_text="none: issued by a person",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="heartbeat.enrolmenttoken",
                    ),
                ),
            ],
            options={
                "permissions": [("issue_token", "May issue, rotate and revoke robots' tokens")],
                "indexes": [models.Index(fields=["robot_key"], name="tokens_of_a_robot")],
            },
        ),
        migrations.RunSQL(ENTER_ROBOT, LEAVE_ROBOT),
        migrations.RunSQL(ENROL, FORGET_ENROL),
        migrations.RunSQL(NOTIFY, BE_SILENT),
    ]
