"""A day of the log is vacuumed when it is over, not while it is written, and little is asked about its contents."""

from django.db import migrations

#: `heartbeat.history.partitions.let_be_vacuumed` takes the first option back; the one vacuum that comes then freezes.
#: Statistics are kept of what is searched by, from a sample that is read ten times as fast as the usual one.
SPARE = """
CREATE FUNCTION heartbeat_spare(part text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I SET (autovacuum_vacuum_insert_threshold = -1, autovacuum_freeze_min_age = 0)', part);
    EXECUTE (
        SELECT format('ALTER TABLE %I ', part) || string_agg(format('ALTER %I SET STATISTICS %s', attname, CASE
            WHEN attname IN ('received_at', 'at', 'spelling_id', 'boot_id', 'sequence', 'profile_id', 'request_id',
                             'call', 'role', 'status') THEN 10 ELSE 0 END), ', ')
        FROM pg_attribute WHERE attrelid = part::regclass AND attnum > 0 AND NOT attisdropped
    );
END $$;
"""
MAKE_PARTITION = """
CREATE OR REPLACE FUNCTION heartbeat_make_partition(day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE part text := 'heartbeat_heartbeat_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF to_regclass(part) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I PARTITION OF heartbeat_heartbeat FOR VALUES FROM (%L) TO (%L)',
                   part, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
    PERFORM heartbeat_identify(part);{more}
    RETURN true;
END $$;
"""
_DAYS = """
    SELECT c.relname AS part FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'heartbeat_heartbeat'::regclass AND c.relname <> 'heartbeat_heartbeat_default'
"""
SPARE_DAYS = f"SELECT heartbeat_spare(part) FROM ({_DAYS}) AS days"
#: -1: as many as usual
SPARE_NONE = f"""
DO $$
DECLARE part text;
BEGIN
    FOR part IN {_DAYS} LOOP
        EXECUTE format('ALTER TABLE %I RESET (autovacuum_vacuum_insert_threshold, autovacuum_freeze_min_age)', part);
        EXECUTE (
            SELECT format('ALTER TABLE %I ', part) || string_agg(format('ALTER %I SET STATISTICS -1', attname), ', ')
            FROM pg_attribute WHERE attrelid = part::regclass AND attnum > 0 AND NOT attisdropped
        );
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("heartbeat", "0008_rollups"),
    ]

    operations = [
        migrations.RunSQL(SPARE, "DROP FUNCTION heartbeat_spare(text)"),
        migrations.RunSQL(
            MAKE_PARTITION.replace("{more}", "\n    PERFORM heartbeat_spare(part);"),
            MAKE_PARTITION.replace("{more}", ""),
        ),
        migrations.RunSQL(SPARE_DAYS, SPARE_NONE),
    ]
