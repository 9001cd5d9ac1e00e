"""The watcher's process: wait for the lease, then tick until it is lost or somebody says stop."""

import threading
import time
from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog

from heartbeat.watching.lease import RENEW_SECONDS, STANDBY_SECONDS, Lease, LeaseLost
from heartbeat.watching.legacy_rows import LegacyRows
from heartbeat.watching.store import Store, connect
from heartbeat.watching.watcher import SLACK, Ticked, Watcher

log = structlog.get_logger(__name__)

NAME = "watcher"
TICK_SECONDS = 0.1
RETRY_SECONDS = 0.2
#: the rest is in the events; ten thousand lines would hold the next tick up
LOGGED_A_TICK = 50


class Running:
    """One watcher process on the database at `dsn`; a second one stands by."""

    def __init__(self, dsn: str, legacy_url: str, *, fleet_interval_seconds: float) -> None:
        self._dsn = dsn
        self._legacy_url = legacy_url
        self._fleet_interval_seconds = fleet_interval_seconds
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
                    log.warning("watcher.interrupted", reason=reason)
                said = reason
                self.stop.wait(RETRY_SECONDS)
        log.info("loop.stopped", loop=NAME)

    def _serve(self, connection: psycopg.Connection[Any]) -> None:
        lease = Lease(connection, NAME)
        while not lease.take():
            if self.stop.wait(STANDBY_SECONDS):
                return
        log.info("watcher.took_over", term=lease.term)
        legacy = LegacyRows(self._legacy_url)
        watcher = Watcher(Store(connection), lease.fence, legacy, fleet_interval_seconds=self._fleet_interval_seconds)
        lease.renew({})
        progress = _Progress(watcher)
        renewed = 0.0
        while not self.stop.is_set():
            began = time.monotonic()
            progress.note(watcher.tick(datetime.now(UTC)))
            if began - renewed >= RENEW_SECONDS:
                lease.renew(progress.detail())
                renewed = began
            self.stop.wait(began + TICK_SECONDS - time.monotonic())
        lease.release()


class _Progress:
    """What the lease says of the work: counts, and whether heartbeats can be stored."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._events = 0
        self._deaf = False

    def note(self, ticked: Ticked) -> None:
        """Count and log what a tick did."""
        now = datetime.now(UTC)
        self._events += len(ticked.changes)
        for change in ticked.changes[:LOGGED_A_TICK]:
            log.info(
                "liveness.changed",
                robot=change.watched.reading.robot_id[:128],
                was=change.before.value,
                now=change.after.value,
                lag_seconds=round((now - change.became_at).total_seconds(), 3),
                damped=change.damped,
                reason=change.reason,
            )
        if len(ticked.changes) > LOGGED_A_TICK:
            log.info("liveness.more_changed", changes=len(ticked.changes) - LOGGED_A_TICK)
        deaf = ticked.heard_until is None or now - ticked.heard_until > 2 * SLACK
        if deaf != self._deaf:
            log.warning("watcher.deaf" if deaf else "watcher.hears_again", heard_until=str(ticked.heard_until))
            self._deaf = deaf

    def detail(self) -> dict[str, Any]:
        """As the lease carries it."""
        return {
            "robots": dict(self._watcher.counts()),
            "open_incidents": self._watcher.open_incidents,
            "events": self._events,
            "deaf": self._deaf,
        }
