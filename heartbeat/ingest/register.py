"""Who may speak, in memory: robots' live tokens by hash and by robot, and the cohorts whose legacy path is closed."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from heartbeat.rules.cohorts import Cohort


class Admitted(NamedTuple):
    """Whom a token speaks for."""

    robot_key: bytes
    robot_id: str
    token_id: int


class Live(NamedTuple):
    """A token that is not revoked. It may expire while it is held here."""

    admitted: Admitted
    digest: bytes
    #: seconds since 1970; infinity when it does not expire
    expires_at: float
    #: the database's own hash of the row, 64 bits
    fingerprint: int


NEVER = math.inf


class Register:
    """What ingest knows of tokens and closures. Changed by whoever follows the database, read with every call."""

    def __init__(self) -> None:
        self.by_digest: dict[bytes, Live] = {}
        self.by_robot: dict[bytes, list[Live]] = {}
        self._by_id: dict[int, Live] = {}
        #: the xor of all fingerprints, comparable with `bit_xor` in the database
        self.fingerprint = 0
        self.closures: list[Cohort] = []
        #: closed robots with their cohort, and None for those that are known and not closed; empty without closures
        self.closed: dict[bytes, Cohort | None] = {}

    def __len__(self) -> int:
        return len(self.by_digest)

    def token(self, token_id: int) -> Live | None:
        """A token by its number."""
        return self._by_id.get(token_id)

    def put(self, live: Live) -> None:
        """Know a token, in place of what was known of it."""
        self.drop(live.admitted.token_id)
        self._by_id[live.admitted.token_id] = self.by_digest[live.digest] = live
        self.by_robot.setdefault(live.admitted.robot_key, []).append(live)
        self.fingerprint ^= live.fingerprint

    def add(self, live: Live) -> None:
        """Know a token; one that the database has told of already stays as it was told, with its fingerprint."""
        if live.admitted.token_id not in self._by_id:
            self.put(live)

    def drop(self, token_id: int) -> None:
        """Know a token no more; one that was never known is none."""
        live = self._by_id.pop(token_id, None)
        if live is None:
            return
        del self.by_digest[live.digest]
        left = [one for one in self.by_robot.pop(live.admitted.robot_key) if one is not live]
        if left:
            self.by_robot[live.admitted.robot_key] = left
        self.fingerprint ^= live.fingerprint

    def replace_tokens(self, tokens: Iterable[Live]) -> None:
        """Know these tokens and no others."""
        fresh = Register()
        for live in tokens:
            fresh.put(live)
        self.by_digest, self.by_robot, self._by_id = fresh.by_digest, fresh.by_robot, fresh._by_id
        self.fingerprint = fresh.fingerprint

    def replace_closures(self, closures: Iterable[Cohort], robots: Mapping[bytes, Cohort | None]) -> None:
        """Close the legacy path for these cohorts and no others; `robots` says for each known one what closes it."""
        self.closures, self.closed = list(closures), dict(robots)
