"""`manage.py watcher`: a supervised process that notices silent robots; run two, one stands by."""

import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection
from psycopg.conninfo import make_conninfo

from heartbeat.watching.running import Running


class Command(BaseCommand):
    help = "Notice robots that fall silent and come back, under a lease. Runs until it is told to stop."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        given = connection.get_connection_params()
        target = {name: given[name] for name in ("host", "port", "user", "password", "dbname") if given.get(name)}
        running = Running(
            make_conninfo(**target),
            settings.LEGACY_URL,
            fleet_interval_seconds=settings.ROBOT_INTERVAL_SECONDS,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: running.stop.set())
        running.run()
