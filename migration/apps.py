"""The migration app."""

from django.apps import AppConfig


class MigrationConfig(AppConfig):
    """Configuration of the migration app."""

    name = "migration"

    def ready(self) -> None:
        """Keep a record of what people change in the heartbeat system."""
        from heartbeat import rebuilding, telling
        from heartbeat.api import scoping
        from migration import proving
        from migration.audit import record_telling
        from migration.syncing.applying import taken_over_beats

        telling.listen(record_telling)
        rebuilding.also_from(taken_over_beats)
        scoping.register("migration", "migration")
        proving.connect()
