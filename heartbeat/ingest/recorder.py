"""Group commit: one task writes whatever queued while the commits before ran.

Nothing is acknowledged before its commit. A database that is gone, hangs or is too slow is answered with
`Unavailable` at once, so that the robots' door can ask the other system within its own second.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import asyncpg
import structlog

from heartbeat.errors import NotRecorded
from heartbeat.ingest.beat import Beat
from heartbeat.ingest.commits import Commits
from heartbeat.ingest.connecting import Session, connect
from heartbeat.ingest.pipeline import StatementFailed
from heartbeat.ingest.waiting import Done, Outcome, Queue, Waiting, refuse, resolving
from heartbeat.ingest.writer import Writer
from heartbeat.rules.stamping import TICK, stamp_after

log = structlog.get_logger(__name__)

#: the door gives each try 1 s
COMMIT_TIMEOUT_SECONDS = 0.7
#: and a batch 5 s
BACKLOG_PATIENCE_SECONDS = 4.0
SHORTEST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.05, 0.5

#: the connection is of no use any more, or the server cannot serve it now
_LOST = (
    *(OSError, TimeoutError, StatementFailed),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)


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
        self._commits: Commits | None = None
        self._wake = asyncio.Event()
        self._ready = asyncio.Event()
        self._tried = asyncio.Event()
        self._said = ("", "")
        self._drained = asyncio.Event()
        self._drained.set()
        self._task: asyncio.Task[None] | None = None
        self._stamped_at = datetime.min.replace(tzinfo=UTC)
        #: takes what was gathered meanwhile: when a commit is under way and its answers are told, or when none is
        self.take_gathered: Callable[[], None] = _nobody

    @property
    def available(self) -> bool:
        """Whether the recorder holds a connection that served its last commit."""
        return self._ready.is_set()

    @property
    def is_writing(self) -> bool:
        """Whether a commit is under way."""
        return self._commits is not None and self._commits.are_under_way

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
            self._make_ready()
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

    def _gather(self) -> None:
        self.take_gathered()

    def _make_ready(self) -> None:
        if self._commits is not None:
            self._commits.make_ready()

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
                session = await connect(
                    self._dsn, self._application_name, self._commit_timeout_seconds, lost=self._wake.set
                )
            except _LOST as error:
                self._tried.set()
                self._say_once("recorder.cannot_connect", error)
                await asyncio.sleep(backoff_seconds * random.uniform(0.5, 1))
                backoff_seconds = min(backoff_seconds * 2, LONGEST_BACKOFF_SECONDS)
                continue
            backoff_seconds = SHORTEST_BACKOFF_SECONDS
            self._commits = commits = Commits(session.writer, self._queue, self._commit_timeout_seconds, self._gather)
            try:
                await self._write(session, commits)
            except _LOST as error:
                self._say_once("recorder.connection_lost", error)
            except Exception:  # a fault of ours must not end the only writer: a new connection forgets all
                log.exception("recorder.failed")
                await asyncio.sleep(SHORTEST_BACKOFF_SECONDS)
            finally:
                self._ready.clear()
                self._commits = None
                session.terminate()
                commits.give_up()
                self._queue.refuse_all("the database cannot be reached")

    async def _write(self, session: Session, commits: Commits) -> None:
        """Write batches through `session` until it is lost."""
        self._ready.set()
        self._tried.set()
        self._said = ("", "")
        log.info("recorder.ready")
        pulsed = float("-inf")
        while not session.is_closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pulse_seconds):
                    await self._wake.wait()
            self._wake.clear()
            while await commits.end_next():
                pulsed = await self._say_hearing(session.writer, commits, pulsed)
            self._drained.set()
            pulsed = await self._say_hearing(session.writer, commits, pulsed)
        raise ConnectionResetError("the database closed the connection")

    async def _say_hearing(self, writer: Writer, commits: Commits, pulsed: float) -> float:
        """Say until when everything is stored, when it is time to; returns when it was said last."""
        now = time.monotonic()
        if self._pulse_seconds is None or now - pulsed < self._pulse_seconds:
            return pulsed
        commits.answer()
        async with asyncio.timeout(self._commit_timeout_seconds):
            await writer.say_hearing(commits.oldest or datetime.now(UTC))
        return now

    def _say_once(self, event: str, error: BaseException) -> None:
        """Log a reason when it is a new one: an outage is one line, not two a second."""
        reason = f"{type(error).__name__}: {error}"
        if (event, reason) != self._said:
            self._said = (event, reason)
            log.warning(event, reason=reason)


def _nobody() -> None:
    """Nothing was gathered."""
