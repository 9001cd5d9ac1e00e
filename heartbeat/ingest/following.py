"""Keeps the register in step with the database: notices of what changed, and a comparison as a safety net.

Triggers on the tables notify CHANNEL with the numbers of the tokens that changed, or "closures". A lost connection
may have lost notices, so everything is read anew after it; until then the register stays as it was, because nothing
can be stored meanwhile anyway. Reading everything yields to the event loop after every READ_ROWS rows.
"""

import asyncio
import random
import time
from collections.abc import Callable

import asyncpg
import structlog

from heartbeat.access.metrics import CHECKED_AT, CLOSURES, LIVE_TOKENS, LOADS
from heartbeat.ingest.register import NEVER, Admitted, Live, Register
from heartbeat.rules.cohorts import Cohort

log = structlog.get_logger(__name__)

CHANNEL = "heartbeat_access"
CLOSURES_CHANGED, ALL_TOKENS_CHANGED = "closures", "tokens"
#: how often memory is compared with the database: what a lost notice could cost
CHECK_SECONDS = 5.0
#: how long a notice may be under way when memory and database differ
AGAIN_SECONDS = 0.2
#: which robots belong to a closed cohort changes with their site and tags
COHORT_SECONDS = 15.0
#: how often it is written down which tokens were used, and how exactly
USED_SECONDS = 60.0
TIMEOUT_SECONDS = 2.0
READ_ROWS = 1_000

_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

# $1 is the moment of the load: a token that expires later leaves the fingerprint alone.
_FINGERPRINT = (
    "hashtextextended(concat_ws(' ', id, robot_id, encode(digest, 'hex'), extract(epoch FROM expires_at)), 0)"
)
_LIVE = """
FROM heartbeat_robottoken
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > to_timestamp($1::float8))
"""
_READ_TOKENS = f"""
SELECT id, robot_key, robot_id, digest, extract(epoch FROM expires_at)::float8 AS expires_at,
       {_FINGERPRINT} AS fingerprint {_LIVE}
"""
_READ_SOME_TOKENS = f"{_READ_TOKENS} AND id = ANY($2::bigint[])"
_COMPARE_TOKENS = f"SELECT count(*) AS tokens, coalesce(bit_xor({_FINGERPRINT}), 0) AS fingerprint {_LIVE}"
_READ_CLOSURES = "SELECT kind, site, tag FROM heartbeat_legacyclosure WHERE opened_at IS NULL ORDER BY id"
_READ_ROBOTS = "SELECT key, kind, site, tags FROM heartbeat_robot"
_WRITE_USED = """
UPDATE heartbeat_robottoken SET last_used_at = now()
WHERE id = ANY($1::bigint[]) AND (last_used_at IS NULL OR last_used_at < now() - interval '5 minutes')
"""


class Following:
    """Fills `register` from the database at `dsn`, through one connection of its own."""

    def __init__(self, dsn: str, register: Register, check_seconds: float = CHECK_SECONDS) -> None:
        self.loaded = False
        #: called after every change of the register
        self.listeners: list[Callable[[], None]] = []
        #: numbers of tokens that were used and not yet written down
        self.used: set[int] = set()
        self._dsn = dsn
        self._check_seconds = check_seconds
        self._register = register
        self._as_of = 0.0
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._first = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._said = ""
        self._closing = False
        #: of these it is known that they were ever used: enrolling asks for that
        self._written: set[int] = set()

    def start(self) -> None:
        """Begin to follow."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="access")

    async def wait_for_first_load(self, seconds: float) -> None:
        """Wait at most `seconds` until everything was read once."""
        if not self.loaded:
            await asyncio.wait([asyncio.create_task(self._first.wait())], timeout=seconds)

    async def close(self) -> None:
        """Stop; what was used since the last time is written down if the database is there."""
        if self._task:
            self._closing = True
            self._wake.set()
            await asyncio.wait([self._task], timeout=TIMEOUT_SECONDS)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while not self._closing:
            try:
                connection = await asyncpg.connect(
                    self._dsn, timeout=TIMEOUT_SECONDS, server_settings={"application_name": "access"}
                )
            except _LOST as error:
                self._say_once(error)
            else:
                try:
                    await self._follow(connection)
                except _LOST as error:
                    self._say_once(error)
                finally:
                    connection.terminate()
            if self._closing:
                return
            await asyncio.sleep(random.uniform(0.1, 0.5))

    async def _follow(self, connection: asyncpg.Connection) -> None:
        """Load, then follow until the connection is lost or `close` is called."""
        connection.add_termination_listener(lambda _: self._wake.set())
        await connection.add_listener(CHANNEL, self._heard)
        await self._load(connection, "connected")
        checked = cohorts = used = time.monotonic()
        while not (self._closing or connection.is_closed()):
            await self._wait_for_notice(self._check_seconds)
            await self._apply(connection)
            now = time.monotonic()
            if now - checked >= self._check_seconds:
                checked = now
                await self._check(connection)
            if self._register.closures and now - cohorts >= COHORT_SECONDS:
                cohorts = now
                await self._load_closures(connection)
            if now - used >= USED_SECONDS or self._closing or not self.used <= self._written:
                used = now
                await self._write_used(connection)
        if connection.is_closed():
            raise ConnectionResetError("the database closed the connection")

    async def _wait_for_notice(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        self._changed.update(payload.split(","))
        self._wake.set()

    async def _apply(self, connection: asyncpg.Connection) -> None:
        """Read what the notices named."""
        changed, self._changed = self._changed, set()
        if not changed:
            return
        if ALL_TOKENS_CHANGED in changed:
            await self._load_tokens(connection, "many_changed")
        elif ids := [int(one) for one in changed if one.isdigit()]:
            await self._load_some(connection, ids)
        if CLOSURES_CHANGED in changed:
            await self._load_closures(connection)
        self._tell()

    async def _load(self, connection: asyncpg.Connection, because: str) -> None:
        """Read everything; notices that come meanwhile are applied afterwards."""
        self._changed.clear()
        await self._load_tokens(connection, because)
        await self._load_closures(connection)
        self.loaded, self._said = True, ""
        self._first.set()
        CHECKED_AT.set_to_current_time()
        self._tell()
        log.info("access.loaded", because=because, tokens=len(self._register), closures=len(self._register.closures))

    async def _load_tokens(self, connection: asyncpg.Connection, because: str) -> None:
        LOADS.labels(because).inc()
        as_of = time.time()
        async with asyncio.timeout(10 * TIMEOUT_SECONDS), connection.transaction(readonly=True):
            rows = connection.cursor(_READ_TOKENS, as_of, prefetch=READ_ROWS)
            tokens = [_live(row) async for row in rows]
        self._register.replace_tokens(tokens)
        self._as_of = as_of

    async def _load_some(self, connection: asyncpg.Connection, ids: list[int]) -> None:
        rows = await connection.fetch(_READ_SOME_TOKENS, self._as_of, ids, timeout=TIMEOUT_SECONDS)
        for row in rows:
            self._register.put(_live(row))
        for gone in set(ids).difference(row["id"] for row in rows):
            self._register.drop(gone)

    async def _load_closures(self, connection: asyncpg.Connection) -> None:
        rows = await connection.fetch(_READ_CLOSURES, timeout=TIMEOUT_SECONDS)
        closures = [Cohort(**row) for row in rows]
        robots: dict[bytes, Cohort | None] = {}
        if closures:
            async with asyncio.timeout(10 * TIMEOUT_SECONDS), connection.transaction(readonly=True):
                async for robot in connection.cursor(_READ_ROBOTS, prefetch=READ_ROWS):
                    kind, site, tags = robot["kind"], robot["site"], robot["tags"]
                    holding = (cohort for cohort in closures if cohort.holds(kind, site, tags))
                    robots[robot["key"]] = next(holding, None)
        self._register.replace_closures(closures, robots)

    async def _check(self, connection: asyncpg.Connection) -> None:
        """Compare memory with the database, and read everything when they differ for good."""
        if await self._agrees(connection):
            return
        # What differs may have been committed just now, and the notice of it be on its way.
        await self._wait_for_notice(AGAIN_SECONDS)
        await self._apply(connection)
        if not await self._agrees(connection):
            log.warning("access.differed", held=len(self._register))
            await self._load(connection, "differed")

    async def _agrees(self, connection: asyncpg.Connection) -> bool:
        row = await connection.fetchrow(_COMPARE_TOKENS, self._as_of, timeout=TIMEOUT_SECONDS)
        closures = [Cohort(**one) for one in await connection.fetch(_READ_CLOSURES, timeout=TIMEOUT_SECONDS)]
        CHECKED_AT.set_to_current_time()
        here = (len(self._register), self._register.fingerprint, self._register.closures)
        return here == (row["tokens"], row["fingerprint"], closures)

    async def _write_used(self, connection: asyncpg.Connection) -> None:
        used, self.used = self.used, set()
        if used and not connection.is_closed():
            await connection.execute(_WRITE_USED, sorted(used), timeout=TIMEOUT_SECONDS)
            self._written |= used

    def _tell(self) -> None:
        LIVE_TOKENS.set(len(self._register))
        CLOSURES.set(len(self._register.closures))
        for listener in self.listeners:
            listener()

    def _say_once(self, error: BaseException) -> None:
        """Log a reason when it is a new one: an outage is one line, not two a second."""
        reason = f"{type(error).__name__}: {error}"
        if reason != self._said:
            self._said = reason
            log.warning("access.cannot_follow", reason=reason)


def _live(row: asyncpg.Record) -> Live:
    admitted = Admitted(row["robot_key"], row["robot_id"], row["id"])
    expires_at = NEVER if row["expires_at"] is None else row["expires_at"]
    return Live(admitted, row["digest"], expires_at, row["fingerprint"])
