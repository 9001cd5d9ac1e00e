"""The process that watches operation, under its lease, and what it says of its work."""

import time
from collections import Counter
from typing import Any

import psycopg
import structlog

from heartbeat.watching.lease import Lease
from heartbeat.watching.serving import Leased, Loop
from teleop.following.store import Store
from teleop.following.watcher import Ticked, Watcher
from teleop.rules.standing import Step

log = structlog.get_logger(__name__)

#: of its lease, by which guards tell that it makes progress
NAME = "teleop_watcher"
_TOLD = {Step.BEGAN, Step.LOST, Step.RESUMED, Step.ENDED, Step.CONTESTED}


class Running(Leased):
    """One process on the database at `dsn`; a second one stands by."""

    name = NAME

    def begin(self, connection: psycopg.Connection[Any], lease: Lease) -> Loop:
        """A watcher that goes on where the one before stopped."""
        return _Watching(Watcher(Store(connection), lease.fence))


class _Watching:
    """The watcher with what the lease says of its work: robots, steps, whether it is behind."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._steps: Counter[str] = Counter()
        self._behind = False

    def tick(self) -> bool:
        """Read on; whether there is more to read."""
        ticked = self._watcher.tick(time.time())
        _note(ticked, self._steps)
        self._behind = ticked.behind
        return ticked.behind

    def detail(self) -> dict[str, Any]:
        """As the lease carries it."""
        return {"robots": len(self._watcher.fleet.robots), "steps": dict(self._steps), "behind": self._behind}


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
