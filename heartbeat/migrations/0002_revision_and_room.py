"""What models cannot say: when the deployments' revision is renewed, and room on the pages of the state tables."""

from django.db import migrations

RENEW_REVISION = """
CREATE FUNCTION heartbeat_renew_deployments_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO heartbeat_deploymentsrevision (id, revision) VALUES (1, gen_random_uuid())
    ON CONFLICT (id) DO UPDATE SET revision = excluded.revision;
    RETURN NULL;
END $$;
CREATE TRIGGER deployments_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON heartbeat_deployment
    FOR EACH STATEMENT EXECUTE FUNCTION heartbeat_renew_deployments_revision();
"""
KEEP_REVISION = """
DROP TRIGGER deployments_changed ON heartbeat_deployment;
DROP FUNCTION heartbeat_renew_deployments_revision();
"""
# Every heartbeat updates its robot and its row: with room on the page the update touches no index.
LEAVE_ROOM = """
ALTER TABLE heartbeat_robot SET (fillfactor = 50);
ALTER TABLE heartbeat_legacyrow SET (fillfactor = 50);
"""
FILL_PAGES = """
ALTER TABLE heartbeat_robot RESET (fillfactor);
ALTER TABLE heartbeat_legacyrow RESET (fillfactor);
"""


class Migration(migrations.Migration):
    dependencies = [("heartbeat", "0001_heartbeats")]
    operations = [migrations.RunSQL(RENEW_REVISION, KEEP_REVISION), migrations.RunSQL(LEAVE_ROOM, FILL_PAGES)]
