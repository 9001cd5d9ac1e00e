"""The migration app."""

from django.apps import AppConfig


class MigrationConfig(AppConfig):
    """Configuration of the migration app."""

    name = "migration"

    def ready(self) -> None:
        """Keep a record of what people change in the heartbeat system."""
        from heartbeat import telling
        from heartbeat.api import scoping
        from migration.audit import record_telling

        telling.listen(record_telling)
        scoping.register("migration", "migration")
