"""The continuous sync: a supervised process that looks at legacy again and again, under a lease.

The lease is its pulse: it is renewed between steps, so a process that is stuck is noticed (`migration.evidence`).
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections

from heartbeat.watching.lease import Lease, LeaseLost
from migration import deployments, routing
from migration.actors import Actor
from migration.clock import system_clock
from migration.drivers.errors import RouteError
from migration.rules.pacing import Pace, Wishes, pace
from migration.rules.plans import RoutePlan
from migration.syncing import fleet, runs
from migration.syncing.back import Back, Owed
from migration.syncing.forward import Forward
from migration.syncing.side_by_side import Comparing
from migration.syncing.source import SILENT, LegacySource, NotLegacy, Reading
from migration.syncing.state import Found, StateKeeper
from migration.syncing.tuning import wishes

log = structlog.get_logger(__name__)

NAME = "sync"
SYNC = Actor("sync")
TTL_SECONDS, RENEW_SECONDS, STANDBY_SECONDS = 5.0, 0.5, 0.5
RETRY_SECONDS = 0.5
#: deployments and the list by address change less often than rows
SLOW_SECONDS = 1.0
FLEET_SECONDS = 5.0


class Sync:
    """What one process remembers between looks; after an error it is thrown away and a new one made."""

    def __init__(self, alive: Callable[[], None] = lambda: None) -> None:
        self.alive = alive
        self.source = LegacySource(settings.LEGACY_URL, alive)
        self.forward, self.back = Forward(), Back()
        self._comparing = Comparing()
        self._keeper = StateKeeper()
        self._slow_at = self._fleet_at = 0.0
        self._plan: RoutePlan | None = None
        self._unsayable: list[str] = []
        self._reading_seconds: float | None = None

    def look(self, overrides: dict[str, Any] | None = None) -> Pace:
        """One look, both ways; returns how long to wait. Raises what the database raises."""
        asked = _wishes(overrides)
        now = system_clock().now()
        if asked.paused:
            return self._keep(Found(now), asked, silent=False)
        try:
            found = self._looked(asked, now)
        except (*SILENT, NotLegacy) as error:
            return self._keep(Found(now, failure=f"{type(error).__name__}: {error}"), asked, silent=True)
        return self._keep(found, asked, silent=False)

    def close(self) -> None:
        """Let the connections go."""
        self.source.close()
        self._comparing.close()

    def _looked(self, asked: Wishes, now: datetime) -> Found:
        plan = _plan()
        reading = self.source.rows()
        self._reading_seconds = reading.seconds
        self.alive()
        if run := runs.waiting() or (runs.request(SYNC) if runs.is_first() else None):
            runs.work(run.pk, batch_size=asked.batch_size, alive=self.alive)
            reading = self.source.rows()
        if plan != self._plan:
            self.forward.forget()  # whose a robot is decides what may be taken over
            self._plan = plan
        forward = self.forward.step(reading, plan, batch_size=asked.batch_size, now=now, alive=self.alive)
        back = self._back(reading, plan, asked, now)
        self._slowly(reading, now)
        return Found(now, reading=reading, forward=forward, back=back, unsayable=self._unsayable)

    def _back(self, reading: Reading, plan: RoutePlan, asked: Wishes, now: datetime) -> Owed:
        rate = pace(asked, reading.seconds, self.source.answer_seconds, silent=False).calls_per_second
        return self.back.step(reading, self.source, plan, calls_per_second=rate, now=now, alive=self.alive)

    def _slowly(self, reading: Reading, now: datetime) -> None:
        """Deployments and addresses (a text that is as it was is not looked into), and what both systems learn."""
        if time.monotonic() - self._slow_at >= SLOW_SECONDS and self.source.is_current:
            self._slow_at = time.monotonic()
            listed = deployments.listed(self.source)
            deployments.copied(self.source, listed)
            self._unsayable = deployments.tell_legacy(self.source, listed)
            self.alive()
        if time.monotonic() - self._fleet_at >= FLEET_SECONDS:
            self._fleet_at = time.monotonic()
            if (robots := self.source.fleet()) is not None:
                fleet.take_in(robots, now)
            self.alive()
            self._comparing.look(reading, now)
            self.alive()

    def _keep(self, found: Found, asked: Wishes, *, silent: bool) -> Pace:
        answer = None if silent else self.source.answer_seconds
        allowed = pace(asked, None if silent else self._reading_seconds, answer, silent)
        self._keeper.keep(found, calls=self.source.calls, throttled_by=allowed.because)
        return allowed


class Running:
    """One sync process on the database at `dsn`; a second one stands by."""

    def __init__(self, dsn: str, overrides: dict[str, Any] | None = None) -> None:
        self._dsn = dsn
        self._overrides = overrides
        self.stop = threading.Event()

    def run(self) -> None:
        """Sync until `stop` is set, through a database and a legacy that come and go."""
        log.info("loop.started", loop=NAME)
        said = ""
        while not self.stop.is_set():
            try:
                with psycopg.connect(self._dsn, autocommit=True, connect_timeout=2) as connection:
                    self._serve(Lease(connection, NAME, TTL_SECONDS))
                said = ""
            except (psycopg.Error, DatabaseError, LeaseLost, RouteError) as error:
                reason = f"{type(error).__name__}: {error}".strip()
                if reason != said:
                    log.warning("sync.interrupted", reason=reason)
                said = reason
                connections.close_all()
                self.stop.wait(RETRY_SECONDS)
        log.info("loop.stopped", loop=NAME)

    def _serve(self, lease: Lease) -> None:
        while not lease.take():
            if self.stop.wait(STANDBY_SECONDS):
                return
        log.info("sync.took_over", term=lease.term)
        pulse = _Renewing(lease)
        sync = Sync(pulse)
        try:
            while not self.stop.is_set():
                began = time.monotonic()
                allowed = sync.look(self._overrides)
                pulse()
                while not self.stop.is_set() and (left := began + allowed.pause_seconds - time.monotonic()) > 0:
                    self.stop.wait(min(left, RENEW_SECONDS))
                    pulse()
        finally:
            sync.close()
        lease.release()


class _Renewing:
    """Renews the lease now and then, whoever calls. Raises `LeaseLost` when somebody else has taken it."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._renewed = 0.0

    def __call__(self) -> None:
        if time.monotonic() - self._renewed >= RENEW_SECONDS:
            self._lease.renew({})
            self._renewed = time.monotonic()


def _plan() -> RoutePlan:
    return routing.route_file().read().plan


def _wishes(overrides: dict[str, Any] | None) -> Wishes:
    return replace(wishes(), **(overrides or {}))
