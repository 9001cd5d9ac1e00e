"""The audit log is append-only, for the application's own role too."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION migration_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON migration_auditentry
    FOR EACH ROW EXECUTE FUNCTION migration_audit_is_append_only();
CREATE TRIGGER audit_is_never_truncated BEFORE TRUNCATE ON migration_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION migration_audit_is_append_only();
"""

BACK = """
DROP TRIGGER audit_is_never_truncated ON migration_auditentry;
DROP TRIGGER audit_is_append_only ON migration_auditentry;
DROP FUNCTION migration_audit_is_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("migration", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACK)]
