"""The heartbeat app."""

from django.apps import AppConfig


class HeartbeatConfig(AppConfig):
    """Configuration of the heartbeat app."""

    name = "heartbeat"
