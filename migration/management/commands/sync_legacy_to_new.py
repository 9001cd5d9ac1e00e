"""`manage.py sync_legacy_to_new [--continuous] [--interval S] [--batch-size N]`."""

import signal
from typing import Any

from django.core.management.base import CommandParser
from django.db import connection
from psycopg.conninfo import make_conninfo

from migration.actors import Actor
from migration.models import SyncRun
from migration.runbook import RunbookCommand, not_done, wrong
from migration.syncing import runs
from migration.syncing.running import Running
from migration.syncing.tuning import BOUNDS


class Command(RunbookCommand):
    help = "Take over from legacy what new lacks, once from the first row to the last; or both ways for good."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--continuous", action="store_true", help="until told to stop; a second one stands by")
        parser.add_argument("--interval", type=float, help="seconds between two looks; default: as operators set it")
        parser.add_argument("--batch-size", type=int, help="rows a transaction; default: as operators set it")

    def handle(
        self, *args: Any, continuous: bool, interval: float | None, batch_size: int | None, **options: Any
    ) -> None:
        given = {"interval_seconds": interval, "batch_size": batch_size}
        overrides = {name: value for name, value in given.items() if value is not None}
        for name, value in overrides.items():
            least, most = BOUNDS[name]
            if not least <= value <= most:
                flag = "--interval" if name == "interval_seconds" else "--batch-size"
                raise wrong(f"{flag} is a number from {least:g} to {most:g}")
        if continuous:
            _continuously(overrides)
        else:
            self._once(batch_size)

    def _once(self, batch_size: int | None) -> None:
        run = runs.request(Actor.on_this_host())
        run = runs.work(run.pk, batch_size=batch_size)
        if run.state == SyncRun.State.RUNNING:
            raise not_done(f"sync run {run.pk} is being worked on elsewhere: {run.done:,} of {run.rows:,} rows")
        if run.state == SyncRun.State.FAILED:
            raise not_done(f"sync run {run.pk}: {run.failure}")
        self.stdout.write(
            f"{run.rows:,} rows in {run.seconds:.2f} s: {run.taken_over:,} taken over, {run.quarantined:,} quarantined"
        )


def _continuously(overrides: dict[str, Any]) -> None:
    given = connection.get_connection_params()
    target = {name: given[name] for name in ("host", "port", "user", "password", "dbname") if given.get(name)}
    running = Running(make_conninfo(**target), overrides)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.stop.set())
    running.run()
