"""Stores batches, the usual ones through a pipeline: the next may be sent while the one before is under way.

The usual batch needs nothing of the database first, and is one transaction and one round trip. All others are written
alone, by `CarefulWriter`.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

import asyncpg

from heartbeat.ingest.ahead import Ahead, Part
from heartbeat.ingest.beat import Beat
from heartbeat.ingest.careful import CarefulWriter, Counts, Written
from heartbeat.ingest.pipeline import Pipeline, Row, StatementFailed
from heartbeat.ingest.registers import Registers
from heartbeat.ingest.runs import Run
from heartbeat.ingest.statement import LEGACY, V2
from heartbeat.watching.hearing import SAY_HEARING

_QUERY_CANCELED = "57014"


class Writer:
    """Stores through `connection` and `pipeline`, which are of one database."""

    def __init__(self, connection: asyncpg.Connection, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._registers = Registers(connection)
        self._careful = CarefulWriter(connection, self._registers)
        self._ahead: Ahead | None = None
        #: what is to be remembered of the batches under way in the pipeline, the earliest first
        self._under_way: list[Mapping[bytes, Run]] = []
        self._landed = asyncio.Event()
        #: how many batches are written alone, or wait for their turn
        self._alone = 0
        self._one = asyncio.Lock()

    async def prepare(self, seconds: float) -> None:
        """Prepare what every batch needs."""
        await self._careful.prepare(seconds)
        async with asyncio.timeout(seconds):
            await self._pipeline.prepare(SAY_HEARING, *V2.recording, *LEGACY.recording)

    @property
    def takes_another(self) -> bool:
        """Whether a batch may be sent beside those under way."""
        return not self._alone

    def foresee(self, beats: Sequence[Beat]) -> None:
        """Make ready what begins the next batch, or goes on with it: `write` gets it with the rest."""
        if self._alone:  # what of that batch will be stored is not known yet
            return
        if self._ahead is None:
            self._ahead = self._nothing_yet()
        self._ahead.add(beats)

    def forget_what_was_foreseen(self) -> None:
        """The next batch is made ready anew."""
        self._ahead = None

    async def write(self, beats: Sequence[Beat]) -> Written:
        """Commit `beats`, whose `received_at` is stamped. Raises what asyncpg raises; then nothing is acknowledged."""
        ready = self._ready(beats)
        try:
            written = None if ready is None else await self._send(ready)
            if written is None:
                async with self._written_alone():
                    written = await self._careful.write(beats)
        except BaseException:
            self._ahead = None  # it counted on this batch
            raise
        return written

    async def say_hearing(self, heard: datetime) -> None:
        """Say that everything received until `heard` is stored, through the session that stores it."""
        await self._pipeline.send((SAY_HEARING, [heard.isoformat().encode()]))

    def _nothing_yet(self) -> Ahead:
        return Ahead(self._registers, *reversed(self._under_way))

    def _ready(self, beats: Sequence[Beat]) -> Ahead | None:
        """The batch as it can be sent at once; None when the database has to be asked something first."""
        ahead, self._ahead = self._ahead, None
        if self._alone:
            return None
        if ahead is None or not ahead.begins(beats):
            ahead = self._nothing_yet()
        return ahead if ahead.completes(beats) else None

    async def _send(self, ready: Ahead) -> Written | None:
        """Store a batch through the pipeline; None when it has to be written otherwise, and nothing of it is stored."""
        expects_copies = self._careful.expects_copies
        self._under_way.append(ready.runs)
        try:
            rows = await self._pipeline.send(
                *(
                    (statements.for_batch(beats, expects_copies=expects_copies), [*map(str.encode, columns.literals())])
                    for statements, beats, columns in ready.parts
                )
            )
        except StatementFailed as error:
            if error.sqlstate == _QUERY_CANCELED:  # somebody's lock, not the data
                raise asyncpg.QueryCanceledError(str(error)) from error
            return None
        finally:
            self._under_way = [each for each in self._under_way if each is not ready.runs]
            self._landed.set()
        self._registers.runs.update(ready.runs)
        return await self._settled(ready, list(map(_counts, rows)))

    async def _settled(self, ready: Ahead, counts: Sequence[Counts]) -> Written:
        written = Written(counts[-1].deployments)
        if not all(map(_is_whole, ready.parts, counts)):
            async with self._written_alone():
                for (statements, beats, _), found in zip(ready.parts, counts, strict=True):
                    await self._careful.settle(statements, beats, found, written)
        return written

    @contextlib.asynccontextmanager
    async def _written_alone(self) -> AsyncIterator[None]:
        """Wait until nothing is under way, and let nothing begin."""
        self._alone += 1
        try:
            async with self._one:
                while self._under_way:
                    self._landed.clear()
                    await self._landed.wait()
                yield
        finally:
            self._alone -= 1


def _counts(row: Row) -> Counts:
    stored, moved, deployments = row
    return Counts(int(stored or 0), int(moved or 0), deployments and uuid.UUID(deployments.decode()))


def _is_whole(part: Part, counts: Counts) -> bool:
    """Whether all was stored, and all rows of state were there."""
    statements, beats, _ = part
    return counts.stored == len(beats) and counts.moved >= statements.moves(beats)
