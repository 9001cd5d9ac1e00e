"""`manage.py watchdog`: a supervised process that rolls back by itself; a second one stands by."""

from typing import Any

import structlog

from migration import guarding, looping
from migration.drivers.errors import RouteError
from migration.runbook import RunbookCommand
from migration.sampling import Recorder
from migration.watchdog import LOOK_SECONDS, Watchdog

log = structlog.get_logger(__name__)


class Command(RunbookCommand):
    help = "Read the proxies' statistics every second and roll back when the matrix says so. Runs until told to stop."

    def handle(self, *args: Any, **options: Any) -> None:
        recorder = Recorder()
        recorder.start()
        lease, watching = guarding.lease(), Watching(recorder)

        def beat() -> None:
            try:
                is_mine = lease.hold()
            except RouteError as error:
                # A disk that refuses the lease refuses the route as well; whoever can still look says so.
                log.error("watchdog.no_lease", error=str(error))
                is_mine = True
            watching.beat(is_mine)

        looping.run("watchdog", beat, seconds=LOOK_SECONDS, passing=())
        lease.release()


class Watching:
    """Watches while the lease is held, and begins anew each time it is taken: old looks are no evidence."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._watchdog: Watchdog | None = None

    def beat(self, is_mine: bool) -> None:
        """Look, as the holder; stand by otherwise."""
        if not is_mine:
            if self._watchdog:
                log.warning("watchdog.stands_by")
            self._watchdog = None
            return
        if self._watchdog is None:
            log.warning("watchdog.took_over")
            self._watchdog = Watchdog(tell=self._recorder.tell, corruption=self._recorder.corruption)
        self._watchdog.look()
