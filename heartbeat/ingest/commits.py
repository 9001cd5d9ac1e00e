"""The commits under way through one writer: at most two, so that the database never waits for the next one."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime
from functools import partial

import asyncpg
import structlog

from heartbeat.ingest.committing import Result, commit
from heartbeat.ingest.waiting import Outcome, Queue, Waiting
from heartbeat.ingest.writer import Writer

log = structlog.get_logger(__name__)


class Commits:
    """Takes what waits in `queue`; `take_gathered` puts what was gathered meanwhile into it."""

    def __init__(self, writer: Writer, queue: Queue, timeout_seconds: float, take_gathered: Callable[[], None]) -> None:
        self._writer = writer
        self._queue = queue
        self._timeout_seconds = timeout_seconds
        self._take_gathered = take_gathered
        self._under_way: deque[tuple[list[Waiting], asyncio.Task[Result]]] = deque()
        #: tells what became of the latest commit
        self._answers: Callable[[], None] = _nobody

    @property
    def are_under_way(self) -> bool:
        """Whether there is one."""
        return bool(self._under_way)

    @property
    def oldest(self) -> datetime | None:
        """When the first of what is not stored yet was received."""
        under_way = [waiting.beats[0].received_at for batch, _ in self._under_way for waiting in batch]
        return min(filter(None, (*under_way, self._queue.oldest)), default=None)

    def make_ready(self) -> None:
        """Give the writer what is sure to be in the next commit, and begin that when it is worth one."""
        while beats := self._queue.form():
            self._writer.foresee(beats)
        if len(self._under_way) == 1 and self._queue.is_worth_a_commit and self._writer.takes_another:
            self._begin(self._queue.take())

    async def end_next(self) -> bool:
        """Wait for the end of the earliest commit, after the answers of the one before it; False when there is none.

        Raises what the driver raises when the connection is of no use any more.
        """
        if not self._under_way and not self._begin(self._next()):
            self.answer()
            return False
        self.make_ready()
        await asyncio.sleep(0)  # what began is on its way: the database works meanwhile
        self.answer()
        self._take_gathered()
        self.make_ready()
        batch, writing = self._under_way[0]
        try:
            result = await writing
        except asyncpg.QueryCanceledError:  # somebody's lock, not a lost connection
            log.warning("recorder.statement_cancelled", heartbeats=sum(len(waiting.beats) for waiting in batch))
            _refuse(batch)
        else:
            self._answers = partial(_tell, batch, result)
        self._under_way.popleft()
        return True

    def answer(self) -> None:
        """Tell what became of the latest commit, and forget it: nobody holds its calls when the next one ends."""
        answers, self._answers = self._answers, _nobody
        answers()

    def give_up(self) -> None:
        """The connection is lost. What is committed is, whatever happened since; of the rest nothing is known."""
        self.answer()
        for batch, writing in self._under_way:
            writing.cancel()
            writing.add_done_callback(_forget)
            _refuse(batch)
        self._under_way.clear()

    def _next(self) -> list[Waiting]:
        batch = self._queue.take()
        if not batch:
            self._take_gathered()
            batch = self._queue.take()
        return batch

    def _begin(self, batch: list[Waiting]) -> bool:
        if batch:
            beats = [beat for waiting in batch for beat in waiting.beats]
            writing = asyncio.ensure_future(commit(self._writer, beats, self._timeout_seconds))
            self._under_way.append((batch, writing))
        return bool(batch)


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


def _refuse(batch: list[Waiting]) -> None:
    for waiting in batch:
        waiting.refuse("the database did not answer")


def _forget(writing: "asyncio.Task[Result]") -> None:
    """Its reason was that of the one before it."""
    if not writing.cancelled():
        writing.exception()
