"""A v2 robot's voice: the bundled client's decisions, driven by asyncio so that one process holds a fleet of them."""

import asyncio
import contextlib
import json
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lekiwi_heartbeat import frames, words
from lekiwi_heartbeat.actions import (
    Acknowledged,
    Answer,
    Command,
    Drop,
    Dropped,
    Event,
    Open,
    Post,
    Refused,
    Route,
    Send,
    Wait,
)
from lekiwi_heartbeat.answers import retry_after_in
from lekiwi_heartbeat.core import Core

from simulator.fleet.door import Door
from simulator.ledger import ACKNOWLEDGED, STATUS, STOPPED, Exchange, LedgerWriter, Said

HANDSHAKE_SECONDS = 2.0
HELD_BACK_LOOK_SECONDS = 0.05


@dataclass(slots=True)
class Voice:
    """One robot's connection to the system. `held_back` says whether the robot may speak now."""

    robot_id: str
    door: Door
    ledger: LedgerWriter
    chance: random.Random
    saw: Callable[[str, Exchange], None]
    heard: Callable[[Said], None]
    held_back: Callable[[], bool]
    token: str | None = None
    duplicate_share: float = 0.0
    #: does what a command says; None when it does, or why it does not
    obey: Callable[[str], str | None] = lambda name: f"a simulated robot does not know {name}"
    skew: timedelta = timedelta()
    core: Core = field(init=False)
    _said_at: dict[int, tuple[float, float]] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _settled: asyncio.Event = field(default_factory=asyncio.Event)
    _writer: asyncio.StreamWriter | None = None
    _listener: "asyncio.Task[None] | None" = None

    def __post_init__(self) -> None:
        self.core = Core(self.robot_id, str(uuid.uuid4()), chance=self.chance)

    def say(self, fields: dict[str, Any]) -> None:
        """A heartbeat with these fields, by the robot's own clock."""
        beat = self.core.add(fields, time.monotonic(), (datetime.now(UTC) + self.skew).isoformat())
        self._said_at[beat.sequence] = (beat.made_at, time.time())
        self._wake.set()

    def signal(self, said: dict[str, Any]) -> None:
        """How operation stands, between heartbeats."""
        if not self.held_back():
            self.core.signal(said, time.monotonic())
            self._wake.set()

    async def live(self) -> None:
        """Do what the core says, until cancelled."""
        try:
            while True:
                if self.held_back():
                    await asyncio.sleep(HELD_BACK_LOOK_SECONDS)
                    continue
                await self._act()
                self._note(self.core.take_events())
        finally:
            await self._hang_up()

    async def finish(self, seconds: float) -> None:
        """Wait for the last acknowledgements; what then still waits is `stopped` in the ledger."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.core.waiting:
                    self._settled.clear()
                    await self._settled.wait()
        self._note(self.core.take_events())
        for sequence in list(self._said_at):
            self._end(sequence, STOPPED, None)

    # --- acting ---

    async def _act(self) -> None:
        action = self.core.next(time.monotonic())
        match action:
            case Open(connection):
                await self._open(connection)
            case Send(connection, messages):
                self._send(connection, messages)
            case Drop():
                await self._hang_up()
            case Post():
                await self._post(action)
            case Wait(until):
                self._note(self.core.take_events())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), None if until is None else until - time.monotonic())
                self._wake.clear()

    async def _open(self, connection: int) -> None:
        key = frames.new_key()
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                reader, self._writer = await asyncio.open_connection(self.door.host, self.door.port)
                self._writer.write(frames.request(words.SOCKET, self.door.host_header, self.token, key))
                head = await _head(reader)
            if head.status == 101:
                frames.check_accepted(head, key)
        except (OSError, TimeoutError, frames.ProtocolError):
            await self._hang_up()
            self.core.not_opened(connection, None, time.monotonic())
            return
        if head.status != 101:
            await self._hang_up()
            answer = Answer(head.status, None, retry_after_in(head.headers.get("retry-after")))
            self.core.not_opened(connection, answer, time.monotonic())
            return
        self.core.opened(connection, time.monotonic())
        self._listener = asyncio.create_task(self._listen(connection, reader, self._writer, head.rest))

    async def _listen(
        self, connection: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes
    ) -> None:
        conversation = frames.Conversation()
        with contextlib.suppress(OSError, frames.ProtocolError):
            while conversation.closed_with is None:
                for message in conversation.receive(data):
                    self.core.heard(connection, message, time.monotonic())
                if conversation.to_send:
                    writer.write(bytes(conversation.to_send))
                    conversation.to_send.clear()
                self._wake.set()
                if not (data := await reader.read(65536)):
                    break
        writer.close()
        self.core.closed(connection, time.monotonic(), conversation.closed_with)
        self._wake.set()

    def _send(self, connection: int, messages: tuple[bytes, ...]) -> None:
        if self._writer is None or self._writer.is_closing():
            self.core.closed(connection, time.monotonic())
            return
        for message in messages:
            copies = 2 if self.chance.random() < self.duplicate_share else 1
            self._writer.write(frames.frame(frames.TEXT, message) * copies)

    async def _post(self, post: Post) -> None:
        authorization = f"Authorization: Bearer {self.token}\r\n" if self.token else ""
        head = (
            f"POST {post.path} HTTP/1.1\r\nHost: {self.door.host_header}\r\nAccept: */*\r\n{authorization}"
            f"Content-Type: application/json\r\nContent-Length: {len(post.body)}\r\n\r\n"
        )
        exchange = await self.door.exchange(head.encode() + post.body, post.patience_seconds)
        if post.route is Route.LEGACY:
            self.ledger.request(self.robot_id, STATUS, exchange)
            self.saw(STATUS, exchange)
        self.core.posted(post, _answer(exchange), time.monotonic())

    async def _hang_up(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    # --- the ledger ---

    def _note(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Acknowledged(beat, route):
                    self._end(beat.sequence, ACKNOWLEDGED, route)
                case Refused(beat, _):
                    self._end(beat.sequence, "refused", None)
                case Dropped(beat):
                    self._end(beat.sequence, "dropped", None)
                case Command(number, name):
                    why_not = self.obey(name)
                    self.core.commands.done(number, why_not is None, why_not or "done")
                    self._wake.set()

    def _end(self, sequence: int, outcome: str, route: Route | None) -> None:
        made, wall = self._said_at.pop(sequence, (None, None))
        if made is None or wall is None:  # the fleet has ended, and it was told as stopped
            return
        self._settled.set()
        latency_ms = (time.monotonic() - made) * 1000
        way = route.value if route else None
        said = Said(self.robot_id, self.core.boot_id, sequence, made, wall, outcome, way, latency_ms)
        self.ledger.said(said)
        self.heard(said)


def _answer(exchange: Exchange) -> Answer | None:
    if not isinstance(exchange.outcome, int):
        return None
    try:
        content = json.loads(exchange.body)
    except ValueError:
        content = None
    return Answer(exchange.outcome, content, exchange.retry_after_seconds)


async def _head(reader: asyncio.StreamReader) -> frames.Head:
    data = b""
    while (head := frames.read_head(data)) is None:
        part = await reader.read(4096)
        if not part:
            raise ConnectionResetError("closed during the handshake")
        data += part
    return head
