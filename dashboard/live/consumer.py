"""The browsers' WebSocket, `/ws/views/?view=fleet&view=robot/Lekiwi_1`.

Up: `{"subscribe": view}` (again: the whole once more) and `{"unsubscribe": view}`. Down: `{"hello": {"now"}}`, then of
each view a whole and changes, `{"view", "seq", "at", …}`; `{"refused": {"field", "reason"}}` to what makes no sense.

A plain ASGI application inside Channels' routing: nobody sends it anything through a channel layer, and its frames go
to the socket as bytes that all sockets share (`dashboard.live.protocol`).
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

import msgspec
import structlog
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable
from django.db import Error as DatabaseError
from django.utils import timezone

from dashboard.live.hub import Hub
from dashboard.live.message import Message
from dashboard.live.metrics import HANDSHAKES
from dashboard.live.protocol import BrowserSocket
from dashboard.live.sessions import Sessions, session_key_of
from dashboard.live.view import Seat
from heartbeat.direct_socket import EXTENSION

log = structlog.get_logger(__name__)

SIGNED_OUT = 4401
NO_SUCH_VIEW = 4404
#: a page needs two or three
MOST_VIEWS = 16


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """What a page may say."""

    subscribe: str | None = None
    unsubscribe: str | None = None


_ACCEPTED = HANDSHAKES.labels("accepted")
_read = msgspec.json.Decoder(Asked)


class ViewsConsumer:
    """Serves one browser per call."""

    def __init__(self, hub: Hub, sessions: Sessions, usual: Sequence[str] = ()) -> None:
        self._hub = hub
        self._sessions = sessions
        #: what who names no view gets
        self._usual = list(usual)

    async def __call__(self, scope: dict[str, Any], receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Refuse who is not signed in and what is no view; else stay until the browser leaves or its login ends."""
        if (await receive())["type"] != "websocket.connect":
            return
        socket: BrowserSocket | None = scope["extensions"].get(EXTENSION)
        if socket is None:
            raise RuntimeError("start the live process with --ws dashboard.live.protocol:BrowserSocket")
        names = parse_qs(scope["query_string"].decode("latin-1")).get("view", self._usual)
        key = session_key_of(scope["headers"])
        try:
            refusal = self._refusal(names) if key and await self._sessions.is_valid(key) else SIGNED_OUT
        except DatabaseError as error:
            log.warning("live.handshake_unanswered", error=str(error))
            HANDSHAKES.labels("unavailable").inc()
            await _unavailable(send)
            return
        if refusal or key is None:
            HANDSHAKES.labels({SIGNED_OUT: "signed_out"}.get(refusal, "no_such_view")).inc()
            await send({"type": "websocket.close", "code": refusal, "reason": None})
            return
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        _ACCEPTED.inc()
        socket.forget_handshake()
        browser = _Browser(socket, self._hub)
        self._sessions.opened(key, browser.sign_out)
        try:
            browser.greet(names)
            while (message := await receive())["type"] != "websocket.disconnect":
                browser.hear(message)
        finally:
            self._sessions.closed(key, browser.sign_out)
            browser.leave()

    def _refusal(self, names: list[str]) -> int:
        return 0 if len(names) <= MOST_VIEWS and all(map(self._hub.knows, names)) else NO_SUCH_VIEW


async def _unavailable(send: ASGISendCallable) -> None:
    headers = [(b"retry-after", b"2"), (b"content-type", b"text/plain")]
    await send({"type": "websocket.http.response.start", "status": 503, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"logins cannot be read now", "more_body": False})


class _Browser:
    """One socket and its seats."""

    __slots__ = ("_hub", "_seats", "_socket")

    def __init__(self, socket: BrowserSocket, hub: Hub) -> None:
        self._socket = socket
        self._hub = hub
        self._seats: dict[str, Seat] = {}
        socket.on_room = self._catch_up

    def greet(self, names: list[str]) -> None:
        """Say what time it is here, so that the page can tell how old a figure is; then take the seats."""
        self._say({"hello": {"now": timezone.now().isoformat()}})
        for name in names:
            self._subscribe(name)

    def hear(self, message: Any) -> None:
        """Do what the page asks."""
        try:
            asked = _read.decode(message.get("text") or message.get("bytes") or "")
        except (msgspec.DecodeError, UnicodeError) as error:
            self._refuse("", str(error))
            return
        if asked.subscribe is not None:
            self._subscribe(asked.subscribe)
        if asked.unsubscribe is not None:
            seat = self._seats.pop(asked.unsubscribe, None)
            if seat is not None:
                self._hub.leave(seat)

    def leave(self) -> None:
        """Give every seat back."""
        self._socket.on_room = None
        for seat in self._seats.values():
            self._hub.leave(seat)
        self._seats.clear()

    def sign_out(self) -> None:
        """The login has ended. A browser that does not even read its close is cut off."""
        self._socket.close_with(SIGNED_OUT, "signed out")

    def _subscribe(self, name: str) -> None:
        if name in self._seats:
            self._seats[name].start_over()
        elif len(self._seats) >= MOST_VIEWS:
            self._refuse("subscribe", f"at most {MOST_VIEWS} views")
        elif not self._hub.knows(name):
            self._refuse("subscribe", f"there is no view {name[:100]!r}")
        else:
            seat = self._seats[name] = Seat(self._socket, self._hub.view(name))
            self._hub.join(seat)

    def _catch_up(self) -> None:
        for seat in self._seats.values():
            if seat.view.seq:
                seat.catch_up()

    def _refuse(self, field: str, reason: str) -> None:
        self._say({"refused": {"field": field, "reason": reason}})

    def _say(self, content: dict[str, Any]) -> None:
        if not self._socket.is_full:  # what is not for a view is not kept for later
            self._socket.write_frame(Message(content).frame(deflate=False))
