"""The beats that wait for a commit: bounded by bytes, and by how long somebody listens for the answer."""

import asyncio
import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import structlog

from heartbeat.errors import NotRecorded, Unavailable
from heartbeat.ingest.beat import Beat
from heartbeat.metrics import REJECTED

log = structlog.get_logger(__name__)

MOST_ROWS_PER_COMMIT = 1_024
#: the share of backlogs, alone and beside what somebody waits for: each row makes that wait 40 µs longer
MOST_ROWS_OF_BACKLOGS, MOST_ROWS_BESIDE_SINGLES = 1_000, 250
#: so many at least are made ready at once for the next commit
FORMED_AT_ONCE = 32
#: so many ready calls always share a commit; of more, some may be left for the one after it
ALWAYS_TOGETHER = 96
MOST_BYTES_PER_COMMIT = 8 * 2**20
#: beyond this the queue is full: at the top rate that is about a second, after which nobody waits any more
MOST_BYTES_QUEUED = 64 * 2**20


class Outcome(NamedTuple):
    """What became of one beat that was stored, now or before."""

    deployments: uuid.UUID | None
    duplicate: bool


#: is told what became of each beat that was submitted, or why none of them was stored
Done = Callable[[Sequence[Outcome | NotRecorded] | Unavailable], None]


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """Beats that came together, their size in bytes, whom to tell, and until when somebody listens."""

    beats: Sequence[Beat]
    size: int
    done: Done
    until: float

    def tell(self, outcomes: Sequence[Outcome | NotRecorded]) -> None:
        """Tell what became of the beats. Whoever cannot be told costs nobody else the answer."""
        try:
            self.done(outcomes)
        except Exception:
            log.exception("heartbeat.answer_failed")

    def refuse(self, reason: str) -> None:
        """Tell that none was stored, as far as is known."""
        refuse(self.beats, self.done, reason)


def share_of(ready: int, before: int) -> int:
    """How many of `ready` calls the next commit takes at most, when the one before it had `before`.

    To take all that is ready makes large and small commits alternate: while a small one lasts, nearly everybody's
    answer is read and judged, and while the large one after it lasts there is nothing left to do. So the size of
    commits follows slowly what is ready.
    """
    return min(MOST_ROWS_PER_COMMIT, max(ALWAYS_TOGETHER, (ready + 2 * before + 2) // 3))


class Queue:
    """Robots that wait for an answer, and backlogs, of which each commit takes a few."""

    def __init__(self) -> None:
        self._singles: deque[Waiting] = deque()
        self._backlogs: deque[Waiting] = deque()
        #: the first ones of the next commit
        self._formed: list[Waiting] = []
        self._formed_bytes = 0
        self._bytes = 0
        #: how many calls that somebody waits for the latest commit had
        self._before = 0

    @property
    def is_full(self) -> bool:
        """Whether nothing more is taken."""
        return self._bytes >= MOST_BYTES_QUEUED

    @property
    def oldest(self) -> datetime | None:
        """When the first of those that wait was received."""
        queues = (self._formed, self._singles, self._backlogs)
        firsts = [queue[0].beats[0].received_at for queue in queues if queue]
        return min(filter(None, firsts), default=None)

    @property
    def is_worth_a_commit(self) -> bool:
        """Whether the next commit need not wait for more: each costs as much as ten calls do."""
        return bool(self._backlogs) or len(self._formed) >= ALWAYS_TOGETHER

    def enter(self, waiting: Waiting) -> None:
        """At the end of those that wait for an answer."""
        self._singles.append(waiting)
        self._bytes += waiting.size

    def enter_backlog(self, waiting: Waiting) -> None:
        """At the end of those for which nobody waits by the second."""
        self._backlogs.append(waiting)
        self._bytes += waiting.size

    def form(self) -> list[Beat]:
        """Give the next beats that are sure to be in the next commit, many at a time; none until there are so many."""
        room = min(self._share() - len(self._formed), len(self._singles))
        if room < FORMED_AT_ONCE:
            return []
        some: list[Waiting] = []
        while len(some) < room and self._formed_bytes < MOST_BYTES_PER_COMMIT:
            some.append(waiting := self._singles.popleft())
            self._formed_bytes += waiting.size
        self._formed += some
        return [beat for waiting in some for beat in waiting.beats]

    def take(self) -> list[Waiting]:
        """What may share a commit; what nobody waits for any more is refused."""
        share = self._share()
        batch, self._formed = self._formed, []
        size, self._formed_bytes = self._formed_bytes, 0
        self._bytes -= size
        of_backlogs = MOST_ROWS_BESIDE_SINGLES if self._singles or batch else MOST_ROWS_OF_BACKLOGS
        size = self._move(self._singles, share - len(batch), batch, size)
        self._before = len(batch)
        self._move(self._backlogs, of_backlogs, batch, size)
        return batch

    def _share(self) -> int:
        return share_of(len(self._formed) + len(self._singles), self._before)

    def _move(self, queue: deque[Waiting], most_rows: int, batch: list[Waiting], size: int) -> int:
        """Move rows from a queue to a batch of `size` bytes; returns how many bytes it has then."""
        rows, now = 0, time.monotonic()
        while queue and rows < most_rows and size < MOST_BYTES_PER_COMMIT:
            waiting = queue.popleft()
            self._bytes -= waiting.size
            if waiting.until < now:
                waiting.refuse("the database is too slow")
                continue
            size += waiting.size
            rows += len(waiting.beats)
            batch.append(waiting)
        return size

    def refuse_all(self, reason: str) -> None:
        """Nothing of what waits will be stored."""
        waiting = [*self._formed, *self._singles, *self._backlogs]
        for queue in (self._formed, self._singles, self._backlogs):
            queue.clear()
        self._bytes = self._formed_bytes = 0
        for one in waiting:
            one.refuse(reason)


def resolving(future: asyncio.Future[Sequence[Outcome | NotRecorded]]) -> Done:
    """What tells a future what became of its beats."""

    def done(outcomes: Sequence[Outcome | NotRecorded] | Unavailable) -> None:
        if future.done():  # whoever waited has gone
            return
        if isinstance(outcomes, Unavailable):
            future.set_exception(outcomes)
        else:
            future.set_result(outcomes)

    return done


def refuse(beats: Sequence[Beat], done: Done, reason: str) -> None:
    """Tell that none of `beats` was stored, as far as is known."""
    REJECTED.labels(beats[0].call, "unavailable").inc(len(beats))
    # Jitter: robots that were refused together must not come back together.
    done(Unavailable(reason, random.randint(1, 3)))
