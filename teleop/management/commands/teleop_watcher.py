"""`manage.py teleop_watcher`: a supervised process that follows signals and writes sessions; run two, one stands by."""

import signal
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection
from psycopg.conninfo import make_conninfo

from teleop.following.running import Running


class Command(BaseCommand):
    help = "Conclude from robots' signals who drives which robot, under a lease. Runs until it is told to stop."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        given = connection.get_connection_params()
        target = {name: given[name] for name in ("host", "port", "user", "password", "dbname") if given.get(name)}
        running = Running(make_conninfo(**target))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: running.stop.set())
        running.run()
