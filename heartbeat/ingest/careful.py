"""Batches of which the database has to be asked something: names what is new, finds what is stored, commits the rest.

A robot's first call, a new run, a resend, the minutes after midnight: each costs a round trip more. What needs nothing
of that is sent by `heartbeat.ingest.writer`.
"""

import contextlib
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

import asyncpg
import structlog

from heartbeat.errors import Misplaced
from heartbeat.ingest.ahead import ACROSS_MIDNIGHT, Layers, is_soon_after_midnight
from heartbeat.ingest.beat import Beat, LegacyBeat, V2Beat
from heartbeat.ingest.marks import SHADOW
from heartbeat.ingest.parameters import LegacyColumns, V2Columns, applied_columns
from heartbeat.ingest.queries import FIND_REQUESTS, FIND_SEQUENCES, RAISE_ROLES
from heartbeat.ingest.registers import Registers
from heartbeat.ingest.runs import Run, Runs, place, to_look_up
from heartbeat.ingest.statement import LEGACY, V2, Statements

log = structlog.get_logger(__name__)

#: copies and retries of one request arrive within seconds: how far they are looked for back
RETRY_SPAN = timedelta(days=1)
#: after a heartbeat that was stored already, so long each row is looked for before it is stored
CAREFUL_SECONDS = 5.0

_arrival = attrgetter("received_at")
_B = TypeVar("_B", bound=Beat)


@dataclass(slots=True)
class Written:
    """What became of a batch: which deployments were in force, and what had been stored before."""

    deployments: uuid.UUID | None = None
    #: of the beats that the log had before, by `id()`
    duplicates: set[int] = field(default_factory=set)


class Counts(NamedTuple):
    """What the statements answer."""

    stored: int
    moved: int
    deployments: uuid.UUID | None


class CarefulWriter:
    """Stores through `connection`, whose statements it prepares; not to be shared, one batch at a time."""

    def __init__(self, connection: asyncpg.Connection, registers: Registers | None = None) -> None:
        self._connection = connection
        self._prepared: dict[str, asyncpg.prepared_stmt.PreparedStatement] = {}
        self._registers = registers or Registers(connection)
        self._careful_until = float("-inf")

    @property
    def expects_copies(self) -> bool:
        """Whether something came that was stored already; then more is about to (somebody sends again)."""
        return time.monotonic() < self._careful_until

    async def prepare(self, seconds: float) -> None:
        """Prepare what every batch needs."""
        for statements in (LEGACY, V2):
            for sql in statements.recording:
                self._prepared[sql] = await self._connection.prepare(sql, timeout=seconds)
        # The driver ends preparing with a flush, not a sync: until the next statement its locks on all tables stay.
        await self._connection.execute("SELECT", timeout=seconds)

    async def write(self, beats: Sequence[Beat]) -> Written:
        """Commit `beats`, whose `received_at` is stamped. Raises what asyncpg raises; then nothing is acknowledged."""
        written, known = Written(), self._registers
        legacy = [beat for beat in beats if isinstance(beat, LegacyBeat)]
        v2 = [beat for beat in beats if isinstance(beat, V2Beat)]
        if v2:
            await known.name(v2)
        # reversed: of several calls the first one tells since when a robot is known
        strangers = {beat.row_key: beat for beat in reversed(beats) if beat.row_key not in known.met}
        if strangers:
            async with self._connection.transaction():
                met = await known.meet(list(strangers.values()))
                runs = await self._store(legacy, v2, Layers(known.runs, met), written)
            for robot_key, run in met.items():
                known.runs.setdefault(robot_key, run)
            known.met.update(strangers)
        else:
            runs = await self._store(legacy, v2, known.runs, written)
        known.runs.update(runs)
        return written

    async def settle(self, statements: Statements, beats: Sequence[Beat], counts: Counts, written: Written) -> None:
        """What is left to do once beats of one kind were recorded."""
        stored: Sequence[Beat] = beats
        if counts.stored < len(beats):
            stored, again = await self._split_by_the_log(beats)
            written.duplicates |= set(map(id, again))
            await self._raise_roles(again)
        if counts.moved < statements.moves(stored):
            await self._heal(statements, stored)
        written.deployments = counts.deployments

    async def _store(
        self, legacy: list[LegacyBeat], v2: list[V2Beat], runs: Runs, written: Written
    ) -> dict[bytes, Run]:
        """Record what is new; returns what to remember once it is committed."""
        after: dict[bytes, Run] = {}
        legacy, duplicates = await self._without_stored_yesterday(legacy)
        again: list[Beat] = [*duplicates]
        if v2:
            placed = place(v2, runs, await self._stored_sequences(v2, runs))
            fresh, stored_yesterday = await self._without_stored_yesterday(placed.fresh)
            again += [*placed.duplicates, *stored_yesterday]
            if fresh:
                await self._record(V2, fresh, V2Columns(fresh).literals(), written)
            after = placed.runs
        if legacy:
            await self._record(LEGACY, legacy, LegacyColumns(legacy).literals(), written)
        written.duplicates |= set(map(id, again))
        await self._raise_roles(again)
        if written.deployments is None:  # nothing of the batch was new
            written.deployments = await self._connection.fetchval("SELECT revision FROM heartbeat_deploymentsrevision")
        return after

    async def _record(
        self, statements: Statements, beats: Sequence[Beat], columns: list[str], written: Written
    ) -> None:
        sql = statements.for_batch(beats, expects_copies=self.expects_copies)
        try:
            async with self._whole():
                row = await self._fetchrow(sql, columns)
        except asyncpg.UniqueViolationError:
            self._careful_until = time.monotonic() + CAREFUL_SECONDS
            row = await self._fetchrow(statements.record_once_each, columns)
        await self.settle(statements, beats, Counts(*row.values()), written)

    def _whole(self) -> contextlib.AbstractAsyncContextManager[Any]:
        """What fails takes nothing else with it: a savepoint, where a transaction is open."""
        return self._connection.transaction() if self._connection.is_in_transaction() else contextlib.nullcontext()

    async def _fetchrow(self, sql: str, columns: list[Any]) -> asyncpg.Record:
        statement = self._prepared.get(sql) or await self._connection.prepare(sql)
        try:
            return await statement.fetchrow(*columns)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            if self._connection.is_in_transaction():
                raise
            return await statement.fetchrow(*columns)

    # --- what is stored already ----------------------------------------------------------

    async def _stored_sequences(self, beats: list[V2Beat], runs: Runs) -> set[tuple[int, int]]:
        unsure = to_look_up(beats, runs)
        if not unsure:
            return set()
        since = self._since(unsure)
        boots, sequences = [beat.boot_id for beat in unsure], [beat.sequence for beat in unsure]
        rows = await self._connection.fetch(FIND_SEQUENCES, boots, sequences, since)
        return {(row["boot_id"], row["sequence"]) for row in rows}

    def _since(self, beats: Iterable[V2Beat]) -> datetime:
        """Nothing of these runs was stored before: days that lie further back are not searched."""
        return self._registers.since(beats) - RETRY_SPAN

    async def _without_stored_yesterday(self, beats: list[_B]) -> tuple[list[_B], list[_B]]:
        """A day's indexes know that day's requests: soon after midnight the evening before is asked as well."""
        if not beats or beats[0].received_at is None:
            return beats, []
        if not is_soon_after_midnight(beats[0].received_at):
            return beats, []
        midnight = datetime.combine(beats[0].received_at.date(), time_of_day(), UTC)
        identities = [beat.request_id for beat in beats if beat.request_id is not None]
        rows = await self._connection.fetch(FIND_REQUESTS, identities, midnight - ACROSS_MIDNIGHT, midnight)
        found = {row["request_id"] for row in rows}
        return (
            [beat for beat in beats if beat.request_id not in found],
            [beat for beat in beats if beat.request_id in found],
        )

    async def _split_by_the_log(self, beats: Sequence[_B]) -> tuple[list[_B], list[_B]]:
        """Which of a batch were stored now, and which had been before. Raises Misplaced when some are nowhere."""
        stored: list[_B] = []
        again: list[_B] = []
        since = min(map(_arrival, beats)) - RETRY_SPAN
        until = max(map(_arrival, beats)) + RETRY_SPAN
        identities = [beat.request_id for beat in beats if beat.request_id is not None]
        by_request = {
            row["request_id"]: row["received_at"]
            for row in await self._connection.fetch(FIND_REQUESTS, identities, since, until)
        }
        numbered = [beat for beat in beats if isinstance(beat, V2Beat) and beat.request_id is None]
        by_number: dict[tuple[int, int], datetime] = {}
        if numbered:
            boots, numbers = [beat.boot_id for beat in numbered], [beat.sequence for beat in numbered]
            rows = await self._connection.fetch(FIND_SEQUENCES, boots, numbers, self._since(numbered))
            by_number = {(row["boot_id"], row["sequence"]): row["received_at"] for row in rows}
        lost = []
        for beat in beats:
            if beat.request_id is not None:
                at = by_request.get(beat.request_id)
            else:
                assert isinstance(beat, V2Beat)
                at = by_number.get((beat.boot_id, beat.sequence))
            (lost if at is None else stored if at == beat.received_at else again).append(beat)
        if lost:
            self._registers.met.clear()
            raise Misplaced(f"{len(lost)} heartbeats of robots whose registers are gone")
        return stored, again

    async def _raise_roles(self, duplicates: Sequence[Beat]) -> None:
        raised = [(beat.request_id, beat.role) for beat in duplicates if beat.role != SHADOW and beat.request_id]
        if raised:
            identities, roles = zip(*raised, strict=True)
            since = min(map(_arrival, duplicates)) - RETRY_SPAN
            await self._connection.execute(RAISE_ROLES, identities, roles, since)

    async def _heal(self, statements: Statements, beats: Sequence[Beat]) -> None:
        """Rows of state that somebody deleted are made again, and the batch applied to them."""
        log.warning("state.rows_missing", heartbeats=len(beats))
        async with self._connection.transaction():
            await self._registers.meet(list({beat.row_key: beat for beat in beats}.values()))
            await self._fetchrow(statements.apply, applied_columns(beats))
