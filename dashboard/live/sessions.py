"""Whose socket is it? Asked of the database once per login and a few seconds, however many sockets it has.

10,000 browsers that come back at once must not make 10,000 queries in 10,000 threads: what is asked while a query runs
is gathered into the next one. A login that ends (signed out, expired, disabled, a new password) closes its sockets
within `CHECK_SECONDS + FRESH_SECONDS`.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from http.cookies import CookieError, SimpleCookie

import structlog
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.models import Session
from django.db import Error as DatabaseError
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from dashboard.live.database import DatabaseThread
from dashboard.live.metrics import SESSION_QUERIES

log = structlog.get_logger(__name__)

#: how often open sockets are looked at, and for how long a login that was valid is believed, seconds
CHECK_SECONDS = 10.0
FRESH_SECONDS = 10.0
_KEYS_PER_QUERY = 500

Closer = Callable[[], None]


def session_key_of(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The session key in a handshake's cookies."""
    for name, value in headers:
        if name == b"cookie":
            try:
                morsel = SimpleCookie(value.decode("latin-1")).get(settings.SESSION_COOKIE_NAME)
            except CookieError:
                return None
            if morsel is not None:
                return morsel.value
    return None


class Sessions:
    """The logins of this process's sockets."""

    def __init__(self, check_seconds: float = CHECK_SECONDS, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._check_seconds = check_seconds
        self._fresh_seconds = fresh_seconds
        self._thread = DatabaseThread("live sessions")
        self._valid_until: dict[str, float] = {}
        self._asked: dict[str, asyncio.Future[bool]] = {}
        self._asker: asyncio.Task[None] | None = None
        self._open: dict[str, set[Closer]] = {}
        self._checker: asyncio.Task[None] | None = None

    async def is_valid(self, key: str) -> bool:
        """Whether this session belongs to somebody who may watch. Raises the database's error when it is away."""
        if self._valid_until.get(key, 0.0) > time.monotonic():
            return True
        answer = self._asked.get(key)
        if answer is None:
            answer = self._asked[key] = asyncio.get_running_loop().create_future()
        if self._asker is None:
            self._asker = asyncio.create_task(self._ask())
        return await answer

    def opened(self, key: str, close: Closer) -> None:
        """Watch over an open socket: `close` is called when its login ends."""
        self._open.setdefault(key, set()).add(close)
        if self._checker is None:
            self._checker = asyncio.create_task(self._check())

    def closed(self, key: str, close: Closer) -> None:
        """The socket has gone by itself."""
        closers = self._open.get(key)
        if closers is not None:
            closers.discard(close)
            if not closers:
                del self._open[key]
        if not self._open and self._checker is not None:
            self._checker.cancel()
            self._checker = None
            self._valid_until.clear()
            self._thread.rest()

    async def _look_up(self, keys: list[str]) -> set[str]:
        """Which of these sessions belong to somebody who may sign in."""
        valid: set[str] = set()
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            SESSION_QUERIES.inc()
            valid |= await self._thread.ask(_valid_among, keys[start : start + _KEYS_PER_QUERY])
        return valid

    async def _ask(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, {}
                try:
                    valid = await self._look_up(list(asked))
                except DatabaseError as error:
                    for answer in asked.values():
                        if not answer.done():
                            answer.set_exception(error)
                    continue
                until = time.monotonic() + self._fresh_seconds
                self._valid_until.update(dict.fromkeys(valid, until))
                for key, answer in asked.items():
                    if not answer.done():
                        answer.set_result(key in valid)
        finally:
            self._asker = None

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(self._check_seconds)
            keys = list(self._open)
            now = time.monotonic()
            self._valid_until = {key: until for key, until in self._valid_until.items() if until > now}
            try:
                valid = await self._look_up(keys)
            except DatabaseError as error:
                # a database that is away ends no watch: the frames say so themselves
                log.warning("live.sessions_unchecked", sockets=sum(map(len, self._open.values())), error=str(error))
                continue
            for key in set(keys) - valid:
                self._valid_until.pop(key, None)
                for close in list(self._open.get(key, ())):
                    close()


def _valid_among(keys: list[str]) -> set[str]:
    rows = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    sessions = {row.session_key: row.get_decoded() for row in rows}
    people = get_user_model().objects.in_bulk(
        {session[SESSION_KEY] for session in sessions.values() if SESSION_KEY in session}
    )
    by_id = {str(pk): person for pk, person in people.items() if person.is_active}
    return {key for key, session in sessions.items() if _is_of(session, by_id.get(str(session.get(SESSION_KEY))))}


def _is_of(session: dict[str, str], person: object) -> bool:
    """As `django.contrib.auth.get_user`: a session of an older password is none."""
    if person is None:
        return False
    said = session.get(HASH_SESSION_KEY, "")
    hashes = [person.get_session_auth_hash(), *person.get_session_auth_fallback_hash()]  # type: ignore[attr-defined]
    return any(constant_time_compare(said, each) for each in hashes)
