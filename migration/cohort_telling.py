"""Tells the robots' door which cohort each robot is in, so that its statistics can be told apart by kind and site."""

import time
from collections.abc import Callable
from pathlib import Path

import structlog
from django.conf import settings

from heartbeat.models import Robot
from migration.drivers.cohort_file import CohortFile
from migration.drivers.errors import RouteError
from migration.rules.cohort_table import table_of

log = structlog.get_logger(__name__)

#: a fleet's membership changes by the hour; a proxy takes a new table in milliseconds, but not for nothing
LOOK_SECONDS = 15.0


def tell() -> bool:
    """Write the table of the robots that are known now; True if it was another one.

    The door knows a robot by its bucketed id, which is its key. Raises `CannotWriteRoutes`, `LostLock`.
    """
    robots = Robot.objects.filter(bucket__isnull=False).order_by().values_list("key", "kind", "site")
    table = table_of((bytes(key), kind, site) for key, kind, site in robots.iterator())
    changed = CohortFile(Path(settings.ENVOY_STATE_DIR)).write(table)
    if changed:
        log.info("cohorts.told", robots=len(table), cohorts=len(set(table.values())))
    return changed


class _Seldom:
    """Tells at most every few seconds, however often it is asked to."""

    def __init__(self, every_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every, self._clock, self._due = every_seconds, clock, float("-inf")

    def tend(self) -> None:
        """Tell, if it is due. A disk that refuses is logged: what is counted then is by the table before."""
        if self._clock() < self._due:
            return
        self._due = self._clock() + self._every
        try:
            tell()
        except RouteError as error:
            log.warning("cohorts.not_told", error=str(error))


_seldom = _Seldom(LOOK_SECONDS)
tend = _seldom.tend
