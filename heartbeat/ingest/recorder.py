"""Group commit: one task writes whatever queued while the previous commit ran.

Nothing is acknowledged before its commit. A database that is gone, hangs or is too slow is answered with
`Unavailable` at once, so that the robots' door can ask the other system within its own second.
"""

import asyncio
import random
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import asyncpg
import structlog
from prometheus_client import Counter

from heartbeat.errors import NotRecorded, Unavailable, Unstorable
from heartbeat.ingest.beat import Beat, columns_of
from heartbeat.ingest.marks import SHADOW
from heartbeat.ingest.statement import RECORD
from heartbeat.metrics import ACCEPTED, COMMIT_ROWS, COMMIT_SECONDS, DUPLICATES, REJECTED

log = structlog.get_logger(__name__)

MOST_ROWS_PER_COMMIT = 1_000
MOST_BYTES_PER_COMMIT = 8 * 2**20
#: beyond these the queue is full: at 5,000/s that is one second, after which nobody waits any more
MOST_ROWS_QUEUED = 5_000
MOST_BYTES_QUEUED = 64 * 2**20
#: the door gives each try 1 s
COMMIT_TIMEOUT_SECONDS = 0.7
CONNECT_TIMEOUT_SECONDS = 2.0
SHORTEST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.05, 0.5

#: the connection is of no use any more, or the server cannot serve it now
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@dataclass(slots=True)
class _Waiting:
    beat: Beat
    done: asyncio.Future[uuid.UUID]
    since: float


class Recorder:
    """Stores beats through one connection of its own to the database at `dsn`."""

    def __init__(
        self, dsn: str, *, commit_timeout_seconds: float = COMMIT_TIMEOUT_SECONDS, application_name: str = "ingest"
    ) -> None:
        self._dsn = dsn
        self._commit_timeout_seconds = commit_timeout_seconds
        self._application_name = application_name
        self._queue: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._ready = asyncio.Event()
        self._tried = asyncio.Event()
        self._said = ("", "")
        self._task: asyncio.Task[None] | None = None
        self._stamped_at = datetime.min.replace(tzinfo=UTC)

    @property
    def available(self) -> bool:
        """Whether the recorder holds a connection that served its last commit."""
        return self._ready.is_set()

    def start(self) -> None:
        """Begin to connect and write; returns at once, also when there is no database yet."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="recorder")

    async def wait_for_first_connection(self, seconds: float) -> None:
        """Wait at most `seconds` for the first attempt to connect to end, whichever way."""
        if not self._tried.is_set():
            await asyncio.wait([asyncio.create_task(self._tried.wait())], timeout=seconds)

    async def close(self) -> None:
        """Write what is queued, then stop."""
        deadline = time.monotonic() + self._commit_timeout_seconds
        while self._queue and self.available and time.monotonic() < deadline:
            await asyncio.wait([waiting.done for waiting in self._queue], timeout=self._commit_timeout_seconds)
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def record(self, beat: Beat) -> uuid.UUID:
        """Return when `beat` is committed, or had been before. Stamps its `received_at`.

        The answer is the revision of the deployments that this commit saw.
        Raises Unavailable or Unstorable; then nothing is known to be stored.
        """
        try:
            deployments = await self._enqueue(beat)
        except NotRecorded as error:
            REJECTED.labels(beat.call, type(error).__name__.lower()).inc()
            raise
        _accepted(beat.call, beat.role).inc()
        return deployments

    def _enqueue(self, beat: Beat) -> asyncio.Future[uuid.UUID]:
        if not self.available:
            raise _unavailable("the database cannot be reached")
        if len(self._queue) >= MOST_ROWS_QUEUED or self._queued_bytes >= MOST_BYTES_QUEUED:
            raise _unavailable("too many heartbeats are waiting")
        beat.received_at = self._stamp()
        waiting = _Waiting(beat, asyncio.get_running_loop().create_future(), time.monotonic())
        self._queue.append(waiting)
        self._queued_bytes += beat.size
        self._wake.set()
        return waiting.done

    def _stamp(self) -> datetime:
        """Now, later than every stamp before: the order of arrival survives equal readings and a clock set back."""
        self._stamped_at = max(datetime.now(UTC), self._stamped_at + timedelta(microseconds=1))
        return self._stamped_at

    async def _run(self) -> None:
        backoff_seconds = SHORTEST_BACKOFF_SECONDS
        while True:
            try:
                connection, statement = await self._connect()
            except _LOST as error:
                self._tried.set()
                self._say_once("recorder.cannot_connect", error)
                await asyncio.sleep(backoff_seconds * random.uniform(0.5, 1))
                backoff_seconds = min(backoff_seconds * 2, LONGEST_BACKOFF_SECONDS)
                continue
            backoff_seconds = SHORTEST_BACKOFF_SECONDS
            try:
                await self._write(connection, statement)
            except _LOST as error:
                self._say_once("recorder.connection_lost", error)
            finally:
                self._ready.clear()
                connection.terminate()
                self._fail_queued()

    async def _connect(self) -> tuple[asyncpg.Connection, asyncpg.prepared_stmt.PreparedStatement]:
        connection = await asyncpg.connect(
            self._dsn,
            timeout=CONNECT_TIMEOUT_SECONDS,
            server_settings={
                "application_name": self._application_name,
                "synchronous_commit": "on",
                # The plan does not depend on the values, and planning this statement costs more than running it.
                "plan_cache_mode": "force_generic_plan",
                "jit": "off",
                # A row somebody locks must not hold the queue up longer than the door waits.
                "statement_timeout": f"{int(self._commit_timeout_seconds * 1000)}ms",
            },
        )
        try:
            statement = await connection.prepare(RECORD, timeout=CONNECT_TIMEOUT_SECONDS)
        except BaseException:
            connection.terminate()
            raise
        connection.add_termination_listener(lambda _: self._wake.set())
        return connection, statement

    async def _write(self, connection: asyncpg.Connection, statement: asyncpg.prepared_stmt.PreparedStatement) -> None:
        """Write batches through `connection` until it is lost."""
        self._ready.set()
        self._tried.set()
        self._said = ("", "")
        log.info("recorder.ready")
        while not connection.is_closed():
            await self._wake.wait()
            self._wake.clear()
            while batch := self._take():
                await self._commit_or_lose(statement, batch)
        raise ConnectionResetError("the database closed the connection")

    def _say_once(self, event: str, error: BaseException) -> None:
        """Log a reason when it is a new one: an outage is one line, not two a second."""
        reason = f"{type(error).__name__}: {error}"
        if (event, reason) != self._said:
            self._said = (event, reason)
            log.warning(event, reason=reason)

    def _take(self) -> list[_Waiting]:
        """What waits, up to the bounds; what waited so long that nobody listens any more is refused."""
        batch: list[_Waiting] = []
        size = 0
        too_old = time.monotonic() - self._commit_timeout_seconds
        while self._queue and len(batch) < MOST_ROWS_PER_COMMIT and size < MOST_BYTES_PER_COMMIT:
            waiting = self._queue.popleft()
            self._queued_bytes -= waiting.beat.size
            if waiting.since < too_old:
                _fail(waiting, _unavailable("the database is too slow"))
                continue
            size += waiting.beat.size
            batch.append(waiting)
        return batch

    async def _commit_or_lose(self, statement: asyncpg.prepared_stmt.PreparedStatement, batch: list[_Waiting]) -> None:
        try:
            await self._commit(statement, batch)
        except BaseException as error:
            for waiting in batch:
                _fail(waiting, _unavailable("the database did not answer"))
            if isinstance(error, asyncpg.QueryCanceledError):  # somebody's lock, not a lost connection
                log.warning("recorder.statement_cancelled", rows=len(batch))
                return
            raise

    async def _commit(self, statement: asyncpg.prepared_stmt.PreparedStatement, batch: list[_Waiting]) -> None:
        """Commit the batch. One that PostgreSQL refuses for its data is halved until the row stands alone."""
        first = _first_arrivals(batch)
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._commit_timeout_seconds):
                counts = await _fetch(statement, first)
        except Exception as error:
            if not _is_of_the_data(error):
                raise
            if len(batch) == 1:
                log.error("heartbeat.unstorable", robot=batch[0].beat.robot_id[:128], error=str(error))
                _fail(batch[0], Unstorable(str(error)))
                return
            middle = len(batch) // 2
            await self._commit(statement, batch[:middle])
            await self._commit(statement, batch[middle:])
            return
        COMMIT_SECONDS.observe(time.monotonic() - started)
        COMMIT_ROWS.observe(len(batch))
        DUPLICATES.inc(len(batch) - counts["fresh"])
        for waiting in batch:
            if not waiting.done.done():
                waiting.done.set_result(counts["deployments"])

    def _fail_queued(self) -> None:
        while self._queue:
            _fail(self._queue.popleft(), _unavailable("the database cannot be reached"))
        self._queued_bytes = 0


@cache
def _accepted(call: str, role: str) -> Counter:
    """The counter of this call and role; looking it up by labels costs more than counting."""
    return ACCEPTED.labels(call, role)


async def _fetch(statement: asyncpg.prepared_stmt.PreparedStatement, beats: Sequence[Beat]) -> asyncpg.Record:
    columns = list(zip(*map(columns_of, beats), strict=True))
    try:
        return await statement.fetchrow(*columns)
    except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
        return await statement.fetchrow(*columns)


def _first_arrivals(batch: Sequence[_Waiting]) -> list[Beat]:
    """One beat a request id: the first to arrive, with the strongest role, as if they had come one by one."""
    first: dict[object, Beat] = {}
    for waiting in batch:
        beat = first.setdefault(waiting.beat.request_id, waiting.beat)
        if beat.role == SHADOW:
            beat.role = waiting.beat.role
    return list(first.values())


def _is_of_the_data(error: Exception) -> bool:
    """SQLSTATE classes 22 and 23, or a value that the driver could not even encode."""
    state = getattr(error, "sqlstate", None)
    return (state is not None and state[:2] in {"22", "23"}) or isinstance(
        error, ValueError | TypeError | OverflowError
    )


def _fail(waiting: _Waiting, error: NotRecorded) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)


def _unavailable(reason: str) -> Unavailable:
    # Jitter: robots that were refused together must not come back together.
    return Unavailable(reason, random.randint(1, 3))
