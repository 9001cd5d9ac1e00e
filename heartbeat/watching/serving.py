"""A loop of which one process runs and others stand by: wait for the lease, tick, hand over, begin anew."""

import threading
import time
from typing import Any, Protocol

import psycopg
import structlog

from heartbeat.watching.lease import RENEW_SECONDS, STANDBY_SECONDS, Lease, LeaseLost
from heartbeat.watching.store import connect

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.1
RETRY_SECONDS = 0.2


class Loop(Protocol):
    """What the holder of the lease does; it raises what the database raises."""

    def tick(self) -> bool:
        """Do what there is to do now; whether more waits, so that the next one follows at once."""

    def detail(self) -> dict[str, Any]:
        """What the lease says of the work."""


class Leased:
    """One process of the loop `name` on the database at `dsn`; whoever holds its lease works, the others stand by."""

    #: of the lease, by which guards tell that it makes progress
    name = ""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.stop = threading.Event()

    def begin(self, connection: psycopg.Connection[Any], lease: Lease) -> Loop:
        """The loop of a new term, as it stands in the database."""
        raise NotImplementedError

    def run(self) -> None:
        """Serve until `stop` is set, through a database that comes and goes."""
        log.info("loop.started", loop=self.name, seconds=TICK_SECONDS)
        said = ""
        while not self.stop.is_set():
            try:
                with connect(self._dsn) as connection:
                    said = ""
                    self._serve(connection)
            except (psycopg.Error, LeaseLost) as error:
                reason = f"{type(error).__name__}: {error}".strip()
                if reason != said:
                    log.warning(f"{self.name}.interrupted", reason=reason)
                said = reason
                self.stop.wait(RETRY_SECONDS)
        log.info("loop.stopped", loop=self.name)

    def _serve(self, connection: psycopg.Connection[Any]) -> None:
        lease = Lease(connection, self.name)
        while not lease.take():
            if self.stop.wait(STANDBY_SECONDS):
                return
        log.info(f"{self.name}.took_over", term=lease.term)
        loop = self.begin(connection, lease)
        lease.renew({})
        renewed = 0.0
        while not self.stop.is_set():
            began = time.monotonic()
            more = loop.tick()
            if began - renewed >= RENEW_SECONDS:
                lease.renew(loop.detail())
                renewed = began
            if not more:
                self.stop.wait(began + TICK_SECONDS - time.monotonic())
        lease.release()
