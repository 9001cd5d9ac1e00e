"""Group commit: one task writes whatever queued while the previous commit ran.

Nothing is acknowledged before its commit. A database that is gone, hangs or is too slow is answered with
`Unavailable` at once, so that the robots' door can ask the other system within its own second.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial

import asyncpg
import structlog

from heartbeat.errors import NotRecorded
from heartbeat.ingest.beat import Beat
from heartbeat.ingest.committing import Result, commit
from heartbeat.ingest.connecting import connect
from heartbeat.ingest.waiting import Done, Outcome, Queue, Waiting, refuse, resolving
from heartbeat.ingest.writer import Writer
from heartbeat.rules.stamping import TICK, stamp_after
from heartbeat.watching.hearing import say_hearing

log = structlog.get_logger(__name__)

#: the door gives each try 1 s
COMMIT_TIMEOUT_SECONDS = 0.7
#: and a batch 5 s
BACKLOG_PATIENCE_SECONDS = 4.0
SHORTEST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.05, 0.5

#: the connection is of no use any more, or the server cannot serve it now
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


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
        self._queue = Queue()
        self._writer: Writer | None = None
        self._wake = asyncio.Event()
        self._ready = asyncio.Event()
        self._tried = asyncio.Event()
        self._said = ("", "")
        self._drained = asyncio.Event()
        self._drained.set()
        self._task: asyncio.Task[None] | None = None
        self._stamped_at = datetime.min.replace(tzinfo=UTC)
        #: tells what became of the latest commit
        self._answers: Callable[[], None] = _nobody
        #: whether a commit is under way
        self.is_writing = False
        #: takes what was gathered meanwhile: when a commit is under way and its answers are told, or when none is
        self.take_gathered: Callable[[], None] = _nobody

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
        self.submit(beats, sum(beat.size for beat in beats), resolving(future))
        return await future

    async def record_backlog(self, beats: Sequence[Beat]) -> Sequence[Outcome | NotRecorded]:
        """The same for what nobody waits for by the second: it takes no heartbeat's place in a commit."""
        future: asyncio.Future[Sequence[Outcome | NotRecorded]] = asyncio.get_running_loop().create_future()
        done = resolving(future)
        if self._may_enter(beats, done):
            until = time.monotonic() + BACKLOG_PATIENCE_SECONDS
            self._queue.enter_backlog(Waiting(beats, sum(beat.size for beat in beats), done, until))
        return await future

    def submit(self, beats: Sequence[Beat], size: int, done: Done) -> None:
        """Put beats of together `size` bytes into the queue; they share a commit. Stamps their `received_at`.

        `done` is told after the commit, or at once when the queue is full or there is no database.
        """
        if self._may_enter(beats, done):
            self._queue.enter(Waiting(beats, size, done, time.monotonic() + self._commit_timeout_seconds))
            self._make_ready()

    def submit_each(self, calls: Sequence[tuple[Beat, Done]]) -> None:
        """The same for calls that came together, each of one beat with an answer of its own."""
        if why := self._why_not():
            for beat, done in calls:
                refuse((beat,), done, why)
        elif calls:
            self._enter([beat for beat, _ in calls])
            until = time.monotonic() + self._commit_timeout_seconds
            for beat, done in calls:
                self._queue.enter(Waiting((beat,), beat.size, done, until))
            self._make_ready()

    def _make_ready(self) -> None:
        """Give the writer what is sure to be in the next commit: the one before it is under way meanwhile."""
        while self._writer is not None and (beats := self._queue.form()):
            self._writer.foresee(beats)

    def _may_enter(self, beats: Sequence[Beat], done: Done) -> bool:
        if why := self._why_not():
            refuse(beats, done, why)
            return False
        self._enter(beats)
        return True

    def _why_not(self) -> str:
        """Why nothing can be taken now, if so."""
        if not self.available:
            return "the database cannot be reached"
        return "too many heartbeats are waiting" if self._queue.is_full else ""

    def _enter(self, beats: Iterable[Beat]) -> None:
        """Stamp beats with now, each later than every stamp before.

        So the order of arrival survives equal readings and a clock set back.
        """
        before, at = self._stamped_at, stamp_after(self._stamped_at, datetime.now(UTC))
        if at < before:
            log.warning("recorder.clock_set_back", seconds=(before - at).total_seconds())
        for beat in beats:
            beat.received_at = beat.at = self._stamped_at = at
            at += TICK
        self._drained.clear()
        self._wake.set()

    async def _run(self) -> None:
        backoff_seconds = SHORTEST_BACKOFF_SECONDS
        while True:
            try:
                connection, writer = await connect(self._dsn, self._application_name, self._commit_timeout_seconds)
                connection.add_termination_listener(lambda _: self._wake.set())
            except _LOST as error:
                self._tried.set()
                self._say_once("recorder.cannot_connect", error)
                await asyncio.sleep(backoff_seconds * random.uniform(0.5, 1))
                backoff_seconds = min(backoff_seconds * 2, LONGEST_BACKOFF_SECONDS)
                continue
            backoff_seconds = SHORTEST_BACKOFF_SECONDS
            self._writer = writer
            try:
                await self._write(connection, writer)
            except _LOST as error:
                self._say_once("recorder.connection_lost", error)
            except Exception:  # a fault of ours must not end the only writer: a new connection forgets all
                log.exception("recorder.failed")
                await asyncio.sleep(SHORTEST_BACKOFF_SECONDS)
            finally:
                self._ready.clear()
                self._writer = None
                self.is_writing = False
                connection.terminate()
                self._answer()  # what is committed is, whatever happened since
                self._queue.refuse_all("the database cannot be reached")

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
            while batch := self._next():
                self._answers = await self._commit_or_lose(writer, batch)
                pulsed = await self._say_hearing(connection, pulsed)
            self._answer()
            self._drained.set()
            pulsed = await self._say_hearing(connection, pulsed)
        raise ConnectionResetError("the database closed the connection")

    def _next(self) -> list[Waiting]:
        batch = self._queue.take()
        if not batch:
            self.take_gathered()
            batch = self._queue.take()
        self.is_writing = bool(batch)
        return batch

    async def _say_hearing(self, connection: asyncpg.Connection, pulsed: float) -> float:
        """Say until when everything is stored, when it is time to; returns when it was said last."""
        now = time.monotonic()
        if self._pulse_seconds is None or now - pulsed < self._pulse_seconds:
            return pulsed
        async with asyncio.timeout(self._commit_timeout_seconds):
            await say_hearing(connection, self._queue.oldest or datetime.now(UTC))
        return now

    def _say_once(self, event: str, error: BaseException) -> None:
        """Log a reason when it is a new one: an outage is one line, not two a second."""
        reason = f"{type(error).__name__}: {error}"
        if (event, reason) != self._said:
            self._said = (event, reason)
            log.warning(event, reason=reason)

    def _answer(self) -> None:
        """Tell what became of the latest commit, and forget it: nobody holds its calls when the next one ends."""
        answers, self._answers = self._answers, _nobody
        answers()

    async def _commit_or_lose(self, writer: Writer, batch: list[Waiting]) -> Callable[[], None]:
        """Commit `batch`, and return what tells its outcomes.

        Those of the commit before are told once this one is on its way: the database works meanwhile.
        """
        beats = [beat for waiting in batch for beat in waiting.beats]
        writing = asyncio.ensure_future(commit(writer, beats, self._commit_timeout_seconds))
        try:
            try:
                await asyncio.sleep(0)
            finally:
                self._answer()
                self.take_gathered()
                self._make_ready()
            result = await writing
        except BaseException as error:
            writing.cancel()
            for waiting in batch:
                waiting.refuse("the database did not answer")
            if isinstance(error, asyncpg.QueryCanceledError):  # somebody's lock, not a lost connection
                log.warning("recorder.statement_cancelled", heartbeats=len(beats))
                return _nobody
            raise
        return partial(_tell, batch, result)


def _nobody() -> None:
    """Nobody waits for an answer."""


def _tell(batch: list[Waiting], result: Result) -> None:
    if not result.duplicates and not result.refused:
        stored = (Outcome(result.deployments, duplicate=False),)
        for waiting in batch:
            waiting.tell(stored * len(waiting.beats))
        return
    for waiting in batch:
        waiting.tell([result.of(beat) for beat in waiting.beats])
