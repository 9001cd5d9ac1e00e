"""The teleop app."""

from django.apps import AppConfig


class TeleopConfig(AppConfig):
    """Configuration of the teleop app."""

    name = "teleop"

    def ready(self) -> None:
        """Show operation with every robot of the API."""
        from heartbeat.api import parts, scoping
        from teleop.describing import SCHEMA, describe

        parts.register("teleop", describe, SCHEMA)
        scoping.register("teleop", "teleop")
