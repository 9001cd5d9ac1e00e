"""Renew the revision with every change of the deployments."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION heartbeat_renew_deployments_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO heartbeat_deploymentsrevision (id, revision) VALUES (1, gen_random_uuid())
    ON CONFLICT (id) DO UPDATE SET revision = excluded.revision;
    RETURN NULL;
END $$;
CREATE TRIGGER deployments_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON heartbeat_deployment
    FOR EACH STATEMENT EXECUTE FUNCTION heartbeat_renew_deployments_revision();
"""
BACKWARD = """
DROP TRIGGER deployments_changed ON heartbeat_deployment;
DROP FUNCTION heartbeat_renew_deployments_revision();
"""


class Migration(migrations.Migration):
    dependencies = [("heartbeat", "0001_heartbeats")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
