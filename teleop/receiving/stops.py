"""Telling a robot on its socket that an operator asks it to end its session, and noting what it answers.

Requests are rows: a notice says that there is one, a look now and then finds what a lost notice named. Nothing here
ever makes a robot move; the robot decides how it stops, and says so.
"""

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

import asyncpg
import structlog

from heartbeat.ingest import schema
from heartbeat.ingest.access import Admitted
from heartbeat.ingest.extending import Sockets, Tell
from heartbeat.ingest.frames import CommandResult, result_in
from teleop.receiving.metrics import STOPS

log = structlog.get_logger(__name__)

CHANNEL = "lekiwi_stops"
#: the command's name on the socket
STOP = "stop_session"
#: how often a request is offered again while its robot has no socket, seconds
LOOK_SECONDS = 0.5
RETRY_SECONDS = 1.0
TIMEOUT_SECONDS = 2.0
_LONGEST_DETAIL = 500
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

_OPEN = """
SELECT id, robot_key, robot_id, session_id, reason, asked_by FROM teleop_stoprequest
WHERE state = 'asked' AND expires_at > clock_timestamp()
"""
_SENT = "UPDATE teleop_stoprequest SET state = 'sent', sent_at = clock_timestamp() WHERE id = $1 AND state = 'asked'"
_ANSWERED = """
UPDATE teleop_stoprequest SET state = $2, answered_at = clock_timestamp(), detail = $3
WHERE id = $1 AND robot_key = $4 AND state IN ('asked', 'sent') AND expires_at >= clock_timestamp()
"""


class Stops:
    """Follows the requests at `dsn` and speaks through the sockets of this process."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._news = asyncio.Event()
        self._answers: list[tuple[bytes, CommandResult]] = []
        self._task: asyncio.Task[None] | None = None

    def start(self, sockets: Sockets) -> None:
        """Begin to follow."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(sockets), name="stops")

    async def close(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def frame(self, admitted: Admitted, frame: bytes, tell: Tell) -> None:
        """A frame `{"type": "command_result", "id", "ok", "detail"}`. Raises Invalid."""
        result = result_in(frame)
        log.info("command.answered", robot=admitted.robot_id, id=result.id[:64], ok=result.ok)
        if _uuid(result.id) is None:
            return  # the answer to no request of ours
        if "\x00" in result.detail:
            raise schema.Invalid("detail", "contains U+0000, which cannot be stored")
        self._answers.append((admitted.robot_key, result))
        self._news.set()

    async def _run(self, sockets: Sockets) -> None:
        said = ""
        while True:
            try:
                connection = await asyncpg.connect(
                    self._dsn,
                    timeout=TIMEOUT_SECONDS,
                    command_timeout=TIMEOUT_SECONDS,
                    server_settings={"application_name": "stops"},
                )
                try:
                    await self._follow(connection, sockets)
                finally:
                    connection.terminate()
            except _LOST as error:
                reason = f"{type(error).__name__}: {error}"
                if reason != said:
                    said = reason
                    log.warning("stops.cannot_follow", reason=reason)
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self, connection: asyncpg.Connection, sockets: Sockets) -> None:
        await connection.add_listener(CHANNEL, lambda *_: self._news.set())
        while not connection.is_closed():
            while self._answers:
                await self._note(connection, *self._answers[0])
                del self._answers[0]
            for row in await connection.fetch(_OPEN):
                if sockets.tell(row["robot_key"], _message(row)):
                    await connection.execute(_SENT, row["id"])
                    STOPS.labels("sent").inc()
                    log.info("stop.sent", robot=row["robot_id"], id=str(row["id"]), by=row["asked_by"])
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                continue
            self._news.clear()

    async def _note(self, connection: asyncpg.Connection, robot_key: bytes, result: CommandResult) -> None:
        state = "acknowledged" if result.ok else "refused"
        detail = result.detail[:_LONGEST_DETAIL]
        done = await connection.execute(_ANSWERED, _uuid(result.id), state, detail, robot_key)
        # nothing to update: it came too late, a second time, or was no request of ours
        STOPS.labels(state if done == "UPDATE 1" else "answered_too_late").inc()


def _message(row: Mapping[str, Any]) -> dict[str, Any]:
    session = None if row["session_id"] is None else str(row["session_id"])
    arguments = {"session": session, "reason": row["reason"], "asked_by": row["asked_by"]}
    return {"type": "command", "id": str(row["id"]), "name": STOP, "arguments": arguments}


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
