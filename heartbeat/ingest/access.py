"""Who may speak, decided from memory: no call of a robot waits for the database to be let in.

Robots' tokens and closed cohorts are held in memory and follow the database (`heartbeat.ingest.following`). Not
Django: asyncio and asyncpg.
"""

import time
from collections.abc import Callable
from hashlib import sha256

import structlog

from heartbeat.access.metrics import REFUSED, UNCREDENTIALED
from heartbeat.ingest.following import CHECK_SECONDS, Following
from heartbeat.ingest.marks import Marks
from heartbeat.ingest.refusal import (
    NO_TOKEN,
    NOT_LOADED,
    NOT_THE_DOOR,
    OTHERS_TOKEN,
    TOKEN_NEEDED,
    UNKNOWN_TOKEN,
    Refusal,
    closed,
)
from heartbeat.ingest.register import Admitted, Live, Register
from heartbeat.rules.cohorts import Cohort
from heartbeat.rules.kind import kind_from_word
from heartbeat.rules.pace import Pace, take
from heartbeat.rules.tokens import bearer_in

__all__ = ["OTHERS_TOKEN", "Access", "Admitted", "Refusal"]

log = structlog.get_logger(__name__)

USUAL_PACE = Pace(per_second=50, burst=200)
#: robots whose lack of a token was logged are remembered up to this many; beyond it they are only counted
MOST_STRANGERS = 100_000
#: when more robots than this have a pace to remember, those that are rested are forgotten
MOST_PACES = 20_000


class Access:
    """Decides for every call. `start` it in the running loop; until the first load it refuses with 503.

    What a lost notice could hide is found within `check_seconds`. `clock` gives seconds since 1970, as tokens expire
    by, `ticks` those of a clock that is never set.
    """

    def __init__(
        self,
        dsn: str,
        *,
        pace: Pace = USUAL_PACE,
        check_seconds: float = CHECK_SECONDS,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._register = Register()
        self._following = Following(dsn, self._register, check_seconds)
        self._pace = pace
        self._clock = clock
        self._ticks = ticks
        self._full_at: dict[bytes, float] = {}
        self._forgotten_at = 0.0
        self._strangers: set[bytes] = set()

    @property
    def loaded(self) -> bool:
        """Whether tokens were ever read."""
        return self._following.loaded

    def start(self) -> None:
        """Begin to follow the database; returns at once, also when there is none yet."""
        self._following.start()

    async def wait_for_first_load(self, seconds: float) -> None:
        """Wait at most `seconds` until tokens were read."""
        await self._following.wait_for_first_load(seconds)

    async def close(self) -> None:
        """Write down which tokens were used, and stop."""
        await self._following.close()

    def when_changed(self, callback: Callable[[], None]) -> None:
        """Call `callback` after every change of what is known, so that open sockets can be asked `still_admits`."""
        self._following.listeners.append(callback)

    def admit(self, authorization: bytes | None) -> Admitted | Refusal:
        """Whom the token in an `Authorization` header speaks for. The caller compares the robot that it speaks of."""
        if authorization is not None and authorization[:7] == b"Bearer ":
            return self.admit_token(authorization[7:])
        token = bearer_in(authorization)
        return _refused("v2", NO_TOKEN) if token is None else self.admit_token(token)

    def admit_token(self, token: bytes) -> Admitted | Refusal:
        """Whom a bare token speaks for (the ping's path). The look-up is by its hash: nothing to be timed."""
        live = self._register.by_digest.get(sha256(token).digest())
        if live is not None and live.expires_at > self._clock():
            self._following.used.add(live.admitted.token_id)
            return live.admitted
        return _refused("v2", UNKNOWN_TOKEN if self.loaded else NOT_LOADED)

    def still_admits(self, admitted: Admitted) -> bool:
        """Whether a token that was admitted earlier (at a socket's handshake) is live."""
        live = self._register.token(admitted.token_id)
        return live is not None and live.expires_at > self._clock()

    def admit_legacy(
        self, robot_key: bytes, marks: Marks, authorization: bytes | None, v2_refused: bool
    ) -> Refusal | None:
        """None when a legacy call is taken: the door vouches for it, and nothing better is asked of this robot.

        While v2 is refused (`v2_refused`: the door says so) every robot must get through here, with or without a token.
        """
        if not marks.side:
            return _refused("legacy", NOT_THE_DOOR)
        if not self.loaded:
            return _refused("legacy", NOT_LOADED)
        if not v2_refused and self._register.closures and (cohort := self._closing(robot_key)):
            return _refused("legacy", closed(str(cohort)))
        tokens = self._register.by_robot.get(robot_key)
        if tokens is not None and self._any_live(tokens):
            said = self._admitted(authorization)
            if said is not None and said.robot_key == robot_key:
                return None
            if not v2_refused:
                return _refused("legacy", TOKEN_NEEDED if said is None else OTHERS_TOKEN)
        self._count_stranger(robot_key)
        return None

    def allow(self, robot_key: bytes) -> float | None:
        """None when the robot may call now, and the call is counted; else how many seconds it has to wait."""
        now = self._ticks()
        full_at, wait = take(self._full_at.get(robot_key, 0.0), now, self._pace)
        if wait:
            REFUSED.labels("any", "too_fast").inc()
            return wait
        self._full_at[robot_key] = full_at
        if len(self._full_at) > MOST_PACES and now - self._forgotten_at > 1:
            self._forgotten_at = now
            self._full_at = {key: at for key, at in self._full_at.items() if at > now}
        return None

    def remember(self, live: Live) -> None:
        """Know a token that was issued just now, before the database's notice of it comes back."""
        self._register.add(live)

    def _admitted(self, authorization: bytes | None) -> Admitted | None:
        token = bearer_in(authorization)
        live = None if token is None else self._register.by_digest.get(sha256(token).digest())
        if live is None or live.expires_at <= self._clock():
            return None
        self._following.used.add(live.admitted.token_id)
        return live.admitted

    def _any_live(self, tokens: list[Live]) -> bool:
        now = self._clock()
        return any(live.expires_at > now for live in tokens)

    def _closing(self, robot_key: bytes) -> Cohort | None:
        """The closed cohort that a robot belongs to. One that was never heard is judged by the kind in its id."""
        try:
            return self._register.closed[robot_key]
        except KeyError:
            kind = kind_from_word(robot_key.decode("utf-8", "replace"))
            return next((cohort for cohort in self._register.closures if cohort.holds(kind, "", ())), None)

    def _count_stranger(self, robot_key: bytes) -> None:
        UNCREDENTIALED.inc()
        if robot_key not in self._strangers and len(self._strangers) < MOST_STRANGERS:
            self._strangers.add(robot_key)
            log.info("robot.without_credentials", robot=robot_key[:128].decode("utf-8", "replace"))


def _refused(path: str, refusal: Refusal) -> Refusal:
    REFUSED.labels(path, refusal.reason).inc()
    return refusal
