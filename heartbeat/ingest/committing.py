"""One commit: what came twice is stored once, what PostgreSQL refuses is refused alone."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter

import structlog
from prometheus_client import Counter as Metric

from heartbeat.errors import Misplaced, NotRecorded, Unstorable
from heartbeat.ingest.beat import Beat, V2Beat
from heartbeat.ingest.marks import SHADOW
from heartbeat.ingest.v2 import flush_tiny
from heartbeat.ingest.waiting import Outcome
from heartbeat.ingest.writer import Writer
from heartbeat.metrics import ACCEPTED, COMMIT_ROWS, COMMIT_SECONDS, DUPLICATES, REJECTED

log = structlog.get_logger(__name__)

_call_and_role = attrgetter("call", "role")


@dataclass(slots=True)
class Result:
    """What became of the beats of a commit, those refused by `id()`."""

    deployments: uuid.UUID | None = None
    duplicates: set[int] = field(default_factory=set)
    refused: dict[int, Unstorable] = field(default_factory=dict)

    def of(self, beat: Beat) -> Outcome | NotRecorded:
        """What became of one of the beats."""
        return self.refused.get(id(beat)) or Outcome(self.deployments, id(beat) in self.duplicates)


async def commit(writer: Writer, beats: list[Beat], timeout_seconds: float) -> Result:
    """Commit beats that share a batch, each judged by itself. Raises what the driver raises when it is not the data."""
    first, again = _first_arrivals(beats)
    if again:  # a role may have been raised
        writer.forget_what_was_foreseen()
    started = time.monotonic()
    result = Result()
    await _write_what_can_be(writer, first, result, timeout_seconds)
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


async def _write_what_can_be(writer: Writer, beats: list[Beat], result: Result, timeout_seconds: float) -> None:
    """Commit the beats. A batch that PostgreSQL refuses for its data is halved until the row stands alone."""
    try:
        async with asyncio.timeout(timeout_seconds):
            try:
                written = await writer.write(beats)
            except Misplaced:
                written = await writer.write(beats)
    except Exception as error:
        if not _is_of_the_data(error):
            raise
        if len(beats) == 1 and isinstance(beats[0], V2Beat) and flush_tiny(beats[0]):
            await _write_what_can_be(writer, beats, result, timeout_seconds)
            return
        if len(beats) == 1:
            log.error("heartbeat.unstorable", robot=beats[0].who.shown[:128], error=str(error))
            REJECTED.labels(beats[0].call, "unstorable").inc()
            result.refused[id(beats[0])] = Unstorable(str(error))
            return
        middle = len(beats) // 2
        await _write_what_can_be(writer, beats[:middle], result, timeout_seconds)
        await _write_what_can_be(writer, beats[middle:], result, timeout_seconds)
        return
    result.deployments = written.deployments
    result.duplicates |= written.duplicates


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
