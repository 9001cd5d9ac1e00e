"""The dashboard app."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """Configuration of the dashboard app."""

    name = "dashboard"
