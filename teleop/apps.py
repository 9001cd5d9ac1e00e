"""The teleop app."""

from django.apps import AppConfig


class TeleopConfig(AppConfig):
    """Configuration of the teleop app."""

    name = "teleop"
