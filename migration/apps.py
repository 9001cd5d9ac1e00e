"""The migration app."""

from django.apps import AppConfig


class MigrationConfig(AppConfig):
    """Configuration of the migration app."""

    name = "migration"
