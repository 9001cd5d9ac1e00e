"""Group commit: one task writes whatever queued while the previous commit ran.

Nothing is acknowledged before its commit. A database that is gone, hangs or is too slow is answered with
`Unavailable` at once, so that the robots' door can ask the other system within its own second.
"""

import asyncio
import contextlib
import random
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import NamedTuple

import asyncpg
import structlog
from prometheus_client import Counter as Metric

from heartbeat.errors import Misplaced, NotRecorded, Unavailable, Unstorable
from heartbeat.ingest.beat import Beat, V2Beat
from heartbeat.ingest.marks import SHADOW
from heartbeat.ingest.partitions import make_partitions
from heartbeat.ingest.v2 import flush_tiny
from heartbeat.ingest.writer import Writer
from heartbeat.metrics import ACCEPTED, COMMIT_ROWS, COMMIT_SECONDS, DUPLICATES, REJECTED
from heartbeat.rules.stamping import stamp_after
from heartbeat.watching.hearing import say_hearing

log = structlog.get_logger(__name__)

MOST_ROWS_PER_COMMIT = 1_000
#: a backlog's share: what comes beside it waits 20 ms longer
MOST_ROWS_OF_BACKLOGS = 1_000
MOST_BYTES_PER_COMMIT = 8 * 2**20
#: beyond this the queue is full: at the top rate that is about a second, after which nobody waits any more
MOST_BYTES_QUEUED = 64 * 2**20
#: the door gives each try 1 s
COMMIT_TIMEOUT_SECONDS = 0.7
#: and a batch 5 s
BACKLOG_PATIENCE_SECONDS = 4.0
CONNECT_TIMEOUT_SECONDS = 2.0
SHORTEST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.05, 0.5

#: the connection is of no use any more, or the server cannot serve it now
_call_and_role = attrgetter("call", "role")
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Outcome(NamedTuple):
    """What became of one beat that was stored, now or before."""

    deployments: uuid.UUID | None
    duplicate: bool


#: is told what became of each beat that was submitted, or why none of them was stored
Done = Callable[[Sequence[Outcome | NotRecorded] | Unavailable], None]


class _Waiting(NamedTuple):
    """Beats that came together, their size in bytes, whom to tell, and until when somebody listens."""

    beats: Sequence[Beat]
    size: int
    done: Done
    until: float


@dataclass(slots=True)
class _Result:
    """What became of the beats of a commit, those refused by `id()`."""

    deployments: uuid.UUID | None = None
    duplicates: set[int] = field(default_factory=set)
    refused: dict[int, Unstorable] = field(default_factory=dict)

    def of(self, beat: Beat) -> Outcome | NotRecorded:
        return self.refused.get(id(beat)) or Outcome(self.deployments, id(beat) in self.duplicates)


class Recorder:
    """Stores beats through one connection of its own to the database at `dsn`.

    With `pulse_seconds` it says that often, also when nobody speaks, until when everything received is stored.
    """

    def __init__(
        self,
        dsn: str,
        *,
        commit_timeout_seconds: float = COMMIT_TIMEOUT_SECONDS,
        application_name: str = "ingest",
        pulse_seconds: float | None = None,
    ) -> None:
        self._dsn = dsn
        self._commit_timeout_seconds = commit_timeout_seconds
        self._application_name = application_name
        self._pulse_seconds = pulse_seconds
        #: robots that wait for an answer, and backlogs, of which each commit takes a few
        self._queue: deque[_Waiting] = deque()
        self._backlogs: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._ready = asyncio.Event()
        self._tried = asyncio.Event()
        self._said = ("", "")
        self._drained = asyncio.Event()
        self._drained.set()
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
        if self.available:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), self._commit_timeout_seconds)
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def record(self, beat: Beat) -> Outcome:
        """Return when `beat` is committed, or had been before. Stamps its `received_at`.

        The outcome names the revision of the deployments that this commit saw.
        Raises Unavailable or Unstorable; then nothing is known to be stored.
        """
        (outcome,) = await self.record_all((beat,))
        if isinstance(outcome, NotRecorded):
            raise outcome
        return outcome

    async def record_all(self, beats: Sequence[Beat]) -> Sequence[Outcome | NotRecorded]:
        """Return what became of each beat: an outcome, or Unstorable. Raises Unavailable when none was stored."""
        future: asyncio.Future[Sequence[Outcome | NotRecorded]] = asyncio.get_running_loop().create_future()
        self.submit(beats, sum(beat.size for beat in beats), _resolving(future))
        return await future

    async def record_backlog(self, beats: Sequence[Beat]) -> Sequence[Outcome | NotRecorded]:
        """The same for what nobody waits for by the second: it takes no heartbeat's place in a commit."""
        future: asyncio.Future[Sequence[Outcome | NotRecorded]] = asyncio.get_running_loop().create_future()
        size = sum(beat.size for beat in beats)
        self._enter(self._backlogs, beats, size, _resolving(future), BACKLOG_PATIENCE_SECONDS)
        return await future

    def submit(self, beats: Sequence[Beat], size: int, done: Done) -> None:
        """Put beats of together `size` bytes into the queue; they share a commit. Stamps their `received_at`.

        `done` is told after the commit, or at once when the queue is full or there is no database.
        """
        self._enter(self._queue, beats, size, done, self._commit_timeout_seconds)

    def _enter(
        self, queue: deque[_Waiting], beats: Sequence[Beat], size: int, done: Done, patience_seconds: float
    ) -> None:
        if not self.available:
            self._refuse(beats, done, _unavailable("the database cannot be reached"))
            return
        if self._queued_bytes >= MOST_BYTES_QUEUED:
            self._refuse(beats, done, _unavailable("too many heartbeats are waiting"))
            return
        for beat in beats:
            beat.received_at = beat.at = self._stamp()
        queue.append(_Waiting(beats, size, done, time.monotonic() + patience_seconds))
        self._queued_bytes += size
        self._drained.clear()
        self._wake.set()

    def _refuse(self, beats: Sequence[Beat], done: Done, reason: Unavailable) -> None:
        REJECTED.labels(beats[0].call, "unavailable").inc(len(beats))
        done(reason)

    def _stamp(self) -> datetime:
        """Now, later than every stamp before: the order of arrival survives equal readings and a clock set back."""
        before, self._stamped_at = self._stamped_at, stamp_after(self._stamped_at, datetime.now(UTC))
        if self._stamped_at < before:
            log.warning("recorder.clock_set_back", seconds=(before - self._stamped_at).total_seconds())
        return self._stamped_at

    async def _run(self) -> None:
        backoff_seconds = SHORTEST_BACKOFF_SECONDS
        while True:
            try:
                connection, writer = await self._connect()
            except _LOST as error:
                self._tried.set()
                self._say_once("recorder.cannot_connect", error)
                await asyncio.sleep(backoff_seconds * random.uniform(0.5, 1))
                backoff_seconds = min(backoff_seconds * 2, LONGEST_BACKOFF_SECONDS)
                continue
            backoff_seconds = SHORTEST_BACKOFF_SECONDS
            try:
                await self._write(connection, writer)
            except _LOST as error:
                self._say_once("recorder.connection_lost", error)
            except Exception:  # a fault of ours must not end the only writer: a new connection forgets all
                log.exception("recorder.failed")
                await asyncio.sleep(SHORTEST_BACKOFF_SECONDS)
            finally:
                self._ready.clear()
                connection.terminate()
                self._fail_queued()

    async def _connect(self) -> tuple[asyncpg.Connection, Writer]:
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
            await make_partitions(connection)
            writer = Writer(connection)
            await writer.prepare(CONNECT_TIMEOUT_SECONDS)
        except BaseException:
            connection.terminate()
            raise
        connection.add_termination_listener(lambda _: self._wake.set())
        return connection, writer

    async def _write(self, connection: asyncpg.Connection, writer: Writer) -> None:
        """Write batches through `connection` until it is lost."""
        self._ready.set()
        self._tried.set()
        self._said = ("", "")
        log.info("recorder.ready")
        pulsed = float("-inf")
        while not connection.is_closed():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pulse_seconds):
                    await self._wake.wait()
            self._wake.clear()
            while batch := self._take():
                await self._commit_or_lose(writer, batch)
                pulsed = await self._say_hearing(connection, pulsed)
            self._drained.set()
            pulsed = await self._say_hearing(connection, pulsed)
        raise ConnectionResetError("the database closed the connection")

    async def _say_hearing(self, connection: asyncpg.Connection, pulsed: float) -> float:
        """Say until when everything is stored, when it is time to; returns when it was said last."""
        now = time.monotonic()
        if self._pulse_seconds is None or now - pulsed < self._pulse_seconds:
            return pulsed
        firsts = [queue[0].beats[0].received_at for queue in (self._queue, self._backlogs) if queue]
        waiting = min(filter(None, firsts), default=None)
        async with asyncio.timeout(self._commit_timeout_seconds):
            await say_hearing(connection, waiting or datetime.now(UTC))
        return now

    def _say_once(self, event: str, error: BaseException) -> None:
        """Log a reason when it is a new one: an outage is one line, not two a second."""
        reason = f"{type(error).__name__}: {error}"
        if (event, reason) != self._said:
            self._said = (event, reason)
            log.warning(event, reason=reason)

    def _take(self) -> list[_Waiting]:
        """What waits, up to the bounds, and some of a backlog; what nobody waits for any more is refused."""
        batch: list[_Waiting] = []
        size = 0
        now = time.monotonic()
        for queue, most_rows in ((self._queue, MOST_ROWS_PER_COMMIT), (self._backlogs, MOST_ROWS_OF_BACKLOGS)):
            rows = 0
            while queue and rows < most_rows and size < MOST_BYTES_PER_COMMIT:
                waiting = queue.popleft()
                self._queued_bytes -= waiting.size
                if waiting.until < now:
                    self._refuse(waiting.beats, waiting.done, _unavailable("the database is too slow"))
                    continue
                size += waiting.size
                rows += len(waiting.beats)
                batch.append(waiting)
        return batch

    async def _commit_or_lose(self, writer: Writer, batch: list[_Waiting]) -> None:
        try:
            result = await self._commit(writer, [beat for waiting in batch for beat in waiting.beats])
        except BaseException as error:
            for waiting in batch:
                self._refuse(waiting.beats, waiting.done, _unavailable("the database did not answer"))
            if isinstance(error, asyncpg.QueryCanceledError):  # somebody's lock, not a lost connection
                log.warning("recorder.statement_cancelled", heartbeats=sum(len(waiting.beats) for waiting in batch))
                return
            raise
        for waiting in batch:
            waiting.done([result.of(beat) for beat in waiting.beats])

    async def _commit(self, writer: Writer, beats: list[Beat]) -> _Result:
        first, again = _first_arrivals(beats)
        started = time.monotonic()
        result = _Result()
        await self._write_what_can_be(writer, first, result)
        for beat, earlier in again:
            if refusal := result.refused.get(id(earlier)):
                result.refused[id(beat)] = refusal
            else:
                result.duplicates.add(id(beat))
        COMMIT_SECONDS.observe(time.monotonic() - started)
        COMMIT_ROWS.observe(len(first))
        DUPLICATES.inc(len(result.duplicates))
        for (call, role), count in Counter(map(_call_and_role, beats)).items():
            _accepted(call, role).inc(count)
        return result

    async def _write_what_can_be(self, writer: Writer, beats: list[Beat], result: _Result) -> None:
        """Commit the beats. A batch that PostgreSQL refuses for its data is halved until the row stands alone."""
        try:
            async with asyncio.timeout(self._commit_timeout_seconds):
                try:
                    written = await writer.write(beats)
                except Misplaced:
                    written = await writer.write(beats)
        except Exception as error:
            if not _is_of_the_data(error):
                raise
            if len(beats) == 1 and isinstance(beats[0], V2Beat) and flush_tiny(beats[0]):
                await self._write_what_can_be(writer, beats, result)
                return
            if len(beats) == 1:
                log.error("heartbeat.unstorable", robot=beats[0].who.shown[:128], error=str(error))
                REJECTED.labels(beats[0].call, "unstorable").inc()
                result.refused[id(beats[0])] = Unstorable(str(error))
                return
            middle = len(beats) // 2
            await self._write_what_can_be(writer, beats[:middle], result)
            await self._write_what_can_be(writer, beats[middle:], result)
            return
        result.deployments = written.deployments
        result.duplicates |= written.duplicates

    def _fail_queued(self) -> None:
        while self._queue or self._backlogs:
            waiting = (self._queue or self._backlogs).popleft()
            self._refuse(waiting.beats, waiting.done, _unavailable("the database cannot be reached"))
        self._queued_bytes = 0


@cache
def _accepted(call: str, role: str) -> Metric:
    """The counter of this call and role; looking it up by labels costs more than counting."""
    return ACCEPTED.labels(call, role)


def _first_arrivals(beats: Sequence[Beat]) -> tuple[list[Beat], list[tuple[Beat, Beat]]]:
    """One beat a request id: the first to arrive, with the strongest role, as if they had come one by one.

    The second part holds the others, each with its first.
    """
    first: list[Beat] = []
    again: list[tuple[Beat, Beat]] = []
    known: dict[uuid.UUID, Beat] = {}
    for beat in beats:
        if beat.request_id is None or (earlier := known.setdefault(beat.request_id, beat)) is beat:
            first.append(beat)
            continue
        again.append((beat, earlier))
        if earlier.role == SHADOW:
            earlier.role = beat.role
    return first, again


def _is_of_the_data(error: Exception) -> bool:
    """SQLSTATE classes 22 and 23, or a value that the driver could not even encode."""
    state = getattr(error, "sqlstate", None)
    return (state is not None and state[:2] in {"22", "23"}) or isinstance(
        error, ValueError | TypeError | OverflowError
    )


def _resolving(future: asyncio.Future[Sequence[Outcome | NotRecorded]]) -> Done:
    def done(outcomes: Sequence[Outcome | NotRecorded] | Unavailable) -> None:
        if future.done():  # whoever waited has gone
            return
        if isinstance(outcomes, Unavailable):
            future.set_exception(outcomes)
        else:
            future.set_result(outcomes)

    return done


def _unavailable(reason: str) -> Unavailable:
    # Jitter: robots that were refused together must not come back together.
    return Unavailable(reason, random.randint(1, 3))
