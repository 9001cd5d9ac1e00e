"""The process that watches operation: wait for the lease, then tick until it is lost or somebody says stop."""

import threading
import time
from collections import Counter
from typing import Any

import psycopg
import structlog

from heartbeat.watching.lease import RENEW_SECONDS, STANDBY_SECONDS, Lease, LeaseLost
from heartbeat.watching.store import connect
from teleop.following.store import Store
from teleop.following.watcher import Ticked, Watcher
from teleop.rules.standing import Step

log = structlog.get_logger(__name__)

#: of its lease, by which guards tell that it makes progress
NAME = "teleop_watcher"
TICK_SECONDS = 0.1
RETRY_SECONDS = 0.2
_TOLD = {Step.BEGAN, Step.LOST, Step.RESUMED, Step.ENDED, Step.CONTESTED}


class Running:
    """One process on the database at `dsn`; a second one stands by."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.stop = threading.Event()

    def run(self) -> None:
        """Watch until `stop` is set, through a database that comes and goes."""
        log.info("loop.started", loop=NAME, seconds=TICK_SECONDS)
        said = ""
        while not self.stop.is_set():
            try:
                with connect(self._dsn) as connection:
                    said = ""
                    self._serve(connection)
            except (psycopg.Error, LeaseLost) as error:
                reason = f"{type(error).__name__}: {error}".strip()
                if reason != said:
                    log.warning("teleop_watcher.interrupted", reason=reason)
                said = reason
                self.stop.wait(RETRY_SECONDS)
        log.info("loop.stopped", loop=NAME)

    def _serve(self, connection: psycopg.Connection[Any]) -> None:
        lease = Lease(connection, NAME)
        while not lease.take():
            if self.stop.wait(STANDBY_SECONDS):
                return
        log.info("teleop_watcher.took_over", term=lease.term)
        watcher = Watcher(Store(connection), lease.fence)
        lease.renew({})
        steps: Counter[str] = Counter()
        renewed = 0.0
        while not self.stop.is_set():
            began = time.monotonic()
            ticked = watcher.tick(time.time())
            _note(ticked, steps)
            if began - renewed >= RENEW_SECONDS:
                lease.renew({"robots": len(watcher.fleet.robots), "steps": dict(steps), "behind": ticked.behind})
                renewed = began
            if not ticked.behind:
                self.stop.wait(began + TICK_SECONDS - time.monotonic())
        lease.release()


def _note(ticked: Ticked, steps: Counter[str]) -> None:
    for changed in ticked.changes:
        event = changed.event
        steps[event.step.value] += 1
        if event.step in _TOLD:
            log.info(
                f"session.{event.step.value}",
                robot=changed.held.robot_id[:128],
                session=event.session,
                driver=event.driver.value,
                lag_seconds=round(event.known_at - event.at, 3),
                ending=event.ending.value if event.ending else None,
                reason=event.because,
            )
    for robot, request in ticked.expired:
        log.warning("stop.timed_out", robot=robot[:128], id=request)
