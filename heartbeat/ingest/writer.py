"""One connection that stores batches: names what is new, finds what is stored already, commits the rest.

The usual batch is one statement, which is one round trip and one commit. Everything else (a robot's first call, a
new run, a resend, the minutes after midnight) costs a round trip more and takes the same way.
"""

import contextlib
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from operator import attrgetter
from typing import Any, TypeVar

import asyncpg
import structlog

from heartbeat.errors import Misplaced
from heartbeat.ingest.ahead import ACROSS_MIDNIGHT, Ahead, Layers, is_soon_after_midnight
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
    #: what to remember once it is committed
    runs: dict[bytes, Run] = field(default_factory=dict)


class Writer:
    """Stores through `connection`, whose statements it prepares; not to be shared, one batch at a time."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._prepared: dict[str, asyncpg.prepared_stmt.PreparedStatement] = {}
        self._met: set[bytes] = set()
        self._runs: dict[bytes, Run] = {}
        self._registers = Registers(connection)
        self._careful_until = float("-inf")
        self._ahead: Ahead | None = None
        #: runs of the batch that is being written; None while they are not known
        self._under_way: Mapping[bytes, Run] | None = {}

    async def prepare(self, seconds: float) -> None:
        """Prepare what every batch needs."""
        for statements in (LEGACY, V2):
            for sql in (statements.record_new, statements.record_once_each, statements.record):
                self._prepared[sql] = await self._connection.prepare(sql, timeout=seconds)
        # The driver ends preparing with a flush, not a sync: until the next statement its locks on all tables stay.
        await self._connection.execute("SELECT", timeout=seconds)

    def foresee(self, beats: Sequence[Beat]) -> None:
        """Make ready what begins the next batch, or goes on with it: `write` gets it with the rest."""
        if self._under_way is None:  # what that batch will be is not known yet
            return
        if self._ahead is None:
            self._ahead = Ahead(self._registers, self._met, self._under_way, self._runs)
        self._ahead.add(beats)

    def forget_what_was_foreseen(self) -> None:
        """The next batch is made ready anew."""
        self._ahead = None

    async def write(self, beats: Sequence[Beat]) -> Written:
        """Commit `beats`, whose `received_at` is stamped. Raises what asyncpg raises; then nothing is acknowledged."""
        ready = self._ready(beats)
        written = Written()
        try:
            if ready is not None:
                self._under_way = written.runs = ready.runs
                await self._store_ready(ready, written)
            else:
                self._under_way = None
                await self._write_what_is_new(beats, written)
        except BaseException:
            self._ahead = None  # it counted on this batch
            raise
        finally:
            self._under_way = {}
        self._runs.update(written.runs)
        return written

    def _ready(self, beats: Sequence[Beat]) -> Ahead | None:
        """The batch as it can be sent at once; None when the database has to be asked something first."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or not ahead.begins(beats):
            ahead = Ahead(self._registers, self._met, self._runs)
        return ahead if ahead.completes(beats) else None

    async def _write_what_is_new(self, beats: Sequence[Beat], written: Written) -> None:
        """The same for a batch of which the database has to be asked something first."""
        legacy = [beat for beat in beats if isinstance(beat, LegacyBeat)]
        v2 = [beat for beat in beats if isinstance(beat, V2Beat)]
        if v2:
            await self._registers.name(v2)
        # reversed: of several calls the first one tells since when a robot is known
        strangers = {beat.row_key: beat for beat in reversed(beats) if beat.row_key not in self._met}
        if strangers:
            async with self._connection.transaction():
                met = await self._registers.meet(list(strangers.values()))
                await self._store(legacy, v2, Layers(self._runs, met), written)
            for robot_key, run in met.items():
                self._runs.setdefault(robot_key, run)
            self._met.update(strangers)
        else:
            await self._store(legacy, v2, self._runs, written)

    async def _store_ready(self, ready: Ahead, written: Written) -> None:
        duplicates: list[Beat] = []
        if ready.v2:
            written.deployments = await self._record(V2, ready.v2, ready.v2_columns.literals(), duplicates)
        if ready.legacy:
            written.deployments = await self._record(LEGACY, ready.legacy, ready.legacy_columns.literals(), duplicates)
        await self._end(written, duplicates)

    async def _store(self, legacy: list[LegacyBeat], v2: list[V2Beat], runs: Runs, written: Written) -> None:
        legacy, before = await self._without_stored_yesterday(legacy)
        duplicates: list[Beat] = [*before]
        if v2:
            placed = place(v2, runs, await self._stored_sequences(v2, runs))
            duplicates += placed.duplicates
            fresh, stored_yesterday = await self._without_stored_yesterday(placed.fresh)
            duplicates += stored_yesterday
            if fresh:
                written.deployments = await self._record(V2, fresh, V2Columns(fresh).literals(), duplicates)
            written.runs = placed.runs
        if legacy:
            written.deployments = await self._record(LEGACY, legacy, LegacyColumns(legacy).literals(), duplicates)
        await self._end(written, duplicates)

    async def _end(self, written: Written, duplicates: Sequence[Beat]) -> None:
        if duplicates:
            await self._raise_roles(duplicates)
        if written.deployments is None:  # nothing of the batch was new
            written.deployments = await self._connection.fetchval("SELECT revision FROM heartbeat_deploymentsrevision")
        written.duplicates = {id(beat) for beat in duplicates}

    async def _record(
        self, statements: Statements, beats: Sequence[Beat], columns: list[Any], duplicates: list[Beat]
    ) -> Any:
        robots, rows = {beat.robot_key for beat in beats}, {beat.row_key for beat in beats}
        if len(robots) == len(beats) == len(rows):
            counts = await self._record_once_each(statements, columns)
        else:
            counts = await self._fetchrow(statements.record, columns)
        stored: Sequence[Beat] = beats
        if counts["stored"] < len(beats):
            stored, again = await self._split_by_the_log(beats)
            duplicates += again
            robots, rows = {beat.robot_key for beat in stored}, {beat.row_key for beat in stored}
        expected = len(robots) + (len(rows) if statements is LEGACY else 0)
        if counts["moved"] < expected:
            await self._heal(statements, stored)
        return counts["deployments"]

    async def _record_once_each(self, statements: Statements, columns: list[Any]) -> asyncpg.Record:
        """Store a batch in which nobody speaks twice: all of it, or else what was not stored before.

        Where one was stored already, more are about to come (somebody sends again what was not answered in time).
        """
        if time.monotonic() < self._careful_until:
            return await self._fetchrow(statements.record_once_each, columns)
        try:
            async with self._whole():
                return await self._fetchrow(statements.record_new, columns)
        except asyncpg.UniqueViolationError:
            self._careful_until = time.monotonic() + CAREFUL_SECONDS
            return await self._fetchrow(statements.record_once_each, columns)

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
            self._met.clear()
            raise Misplaced(f"{len(lost)} heartbeats of robots whose registers are gone")
        return stored, again

    async def _raise_roles(self, duplicates: Iterable[Beat]) -> None:
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
