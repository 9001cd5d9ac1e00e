"""`manage.py watchdog`: a supervised process that rolls back by itself."""

from typing import Any

from migration import looping
from migration.runbook import RunbookCommand
from migration.sampling import Recorder
from migration.watchdog import LOOK_SECONDS, Watchdog


class Command(RunbookCommand):
    help = "Read the proxies' statistics every second and roll back when the matrix says so. Runs until told to stop."

    def handle(self, *args: Any, **options: Any) -> None:
        recorder = Recorder()
        recorder.start()
        watchdog = Watchdog(tell=recorder.tell)
        looping.run("watchdog", watchdog.look, seconds=LOOK_SECONDS, passing=())
