"""`manage.py rebuild_state`: derive robots and legacy rows anew from the log of heartbeats."""

from typing import Any

from django.core.management.base import BaseCommand

from heartbeat.rebuilding import rebuild_state


class Command(BaseCommand):
    help = "Derive all robots and legacy rows anew from the heartbeats. Heartbeats that come meanwhile get 503."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"state rebuilt from {rebuild_state()} heartbeats")
