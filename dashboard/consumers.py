"""The browser's WebSocket, `/ws/overview/`.

A plain ASGI application inside Channels' routing: nobody sends it anything through a channel layer, so it opens no
Redis subscription per socket, and it is several times cheaper to accept.
"""

import asyncio
from typing import Any

import structlog
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable
from channels.db import database_sync_to_async
from django.db import Error as DatabaseError

from dashboard.producer import Producer

log = structlog.get_logger(__name__)

#: how often an open socket looks whether its login still exists
SESSION_CHECK_SECONDS = 30.0

SIGNED_OUT = 4401


class OverviewConsumer:
    """Sends every frame of the producer to every socket, and never more than one frame ahead of its reader."""

    def __init__(self, producer: Producer, session_check_seconds: float = SESSION_CHECK_SECONDS) -> None:
        self._producer = producer
        self._session_check_seconds = session_check_seconds

    async def __call__(self, scope: dict[str, Any], receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve one socket. Without a login it is refused; a page that polls is told why."""
        if (await receive())["type"] != "websocket.connect":
            return
        if not scope["user"].is_authenticated:
            await send({"type": "websocket.close", "code": SIGNED_OUT, "reason": "sign in"})
            return
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        async with self._producer.watching():
            parts = [
                asyncio.create_task(_until_it_leaves(receive)),
                asyncio.create_task(self._send_frames(send)),
                asyncio.create_task(self._until_signed_out(scope["session"])),
            ]
            try:
                done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for part in parts:
                    part.cancel()
                await asyncio.gather(*parts, return_exceptions=True)
        if parts[2] in done and parts[0] not in done:
            await send({"type": "websocket.close", "code": SIGNED_OUT, "reason": "signed out"})
        for part in done:
            if error := part.exception():
                raise error

    async def _send_frames(self, send: ASGISendCallable) -> None:
        seen = 0
        while True:
            seen, text = await self._producer.newer(seen)
            # returns when the peer has room again; meanwhile the producer goes on, and what is missed is skipped
            await send({"type": "websocket.send", "text": text})

    async def _until_signed_out(self, session: Any) -> None:
        while True:
            await asyncio.sleep(self._session_check_seconds)
            if not await _still_exists(session):
                return


async def _still_exists(session: Any) -> bool:
    try:
        return bool(await database_sync_to_async(session.exists)(session.session_key))
    except DatabaseError as error:
        # a database that is away ends no watch: the frames say so themselves
        log.warning("live.session_unchecked", error=str(error))
        return True


async def _until_it_leaves(receive: ASGIReceiveCallable) -> None:
    """The page sends nothing; what comes anyway is dropped."""
    while (await receive())["type"] != "websocket.disconnect":
        pass
