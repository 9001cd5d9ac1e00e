"""The watcher of liveness as a process under its lease, and what it says of its work."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog

from heartbeat.watching.lease import Lease
from heartbeat.watching.legacy_rows import LegacyRows
from heartbeat.watching.serving import Leased, Loop
from heartbeat.watching.store import Store
from heartbeat.watching.watcher import SLACK, Ticked, Watcher

log = structlog.get_logger(__name__)

NAME = "watcher"
#: the rest is in the events; ten thousand lines would hold the next tick up
LOGGED_A_TICK = 50


class Running(Leased):
    """One watcher process on the database at `dsn`; a second one stands by."""

    name = NAME

    def __init__(self, dsn: str, legacy_url: str, *, fleet_interval_seconds: float) -> None:
        super().__init__(dsn)
        self._legacy_url = legacy_url
        self._fleet_interval_seconds = fleet_interval_seconds

    def begin(self, connection: psycopg.Connection[Any], lease: Lease) -> Loop:
        """A watcher of all robots as they are stored."""
        legacy = LegacyRows(self._legacy_url)
        seconds = self._fleet_interval_seconds
        return _Watching(Watcher(Store(connection), lease.fence, legacy, fleet_interval_seconds=seconds))


class _Watching:
    """The watcher with what the lease says of its work: counts, and whether heartbeats can be stored."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._events = 0
        self._deaf = False

    def tick(self) -> bool:
        """One look at all robots."""
        self._note(self._watcher.tick(datetime.now(UTC)))
        return False

    def _note(self, ticked: Ticked) -> None:
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
