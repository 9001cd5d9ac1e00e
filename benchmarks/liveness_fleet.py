"""Robots for `benchmarks.liveness`: they speak, fall silent and come back by plan, and a ledger keeps the truth.

They are written as ingest writes them, many rows a statement and the word that it hears through the same session, but
without HTTP: what is measured here is the watcher.
"""

import heapq
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg

from heartbeat.rules.liveness import thresholds
from heartbeat.watching.hearing import PULSE_SECONDS

INTERVAL_SECONDS = 2.0
LIMITS = thresholds(INTERVAL_SECONDS)
SITES = 100
BATCH_SECONDS = 0.025
#: a silence that ends so short after a deadline may be over before anybody could look
A_LOOK_SECONDS = 0.35

_MAKE = """
INSERT INTO heartbeat_robot (key, robot_id, bucket, site, first_seen_at, last_seen_at, interval_seconds, tags,
    kind_by_id, kind_by_group, reported_kind, status, firmware, protocol, last_side, last_role, address, "group")
SELECT 'r' || n::text::bytea, 'r' || n, n %% 10000, 'site-' || n %% %s, %s, %s, %s, '{}',
    'lekiwi', '', '', 'idle', '', 'v2', 'new', 'owner', '', ''
FROM generate_series(0, %s - 1) AS n
"""
_BEAT = """
UPDATE heartbeat_robot r SET last_seen_at = b.at, last_status_at = b.at, last_v2_at = b.at, status = 'idle'
FROM unnest(%s::bytea[], %s::timestamptz[]) AS b (key, at) WHERE r.key = b.key AND r.last_seen_at < b.at
"""


class Fact(NamedTuple):
    """A robot became `state` at `at` (seconds since 1970)."""

    robot: int
    state: str
    at: float


@dataclass(slots=True)
class Ledger:
    """What is true, and what nobody could tell."""

    facts: list[Fact] = field(default_factory=list)
    #: silences so near a deadline that an event may be written or not: (robot, began)
    undecidable: set[tuple[int, float]] = field(default_factory=set)

    def silence(self, robot: int, last: float, until: float, stored: float) -> None:
        """A robot was heard at `last`, and then at `until`, which was stored by `stored`."""
        for state, after in (("late", LIMITS.late_after_seconds), ("offline", LIMITS.offline_after_seconds)):
            due = last + after
            if until <= due < stored or due < until < due + A_LOOK_SECONDS:
                self.undecidable.add((robot, last))
            elif until > due:
                self.facts.append(Fact(robot, state, due))
        if until > last + LIMITS.late_after_seconds:
            self.facts.append(Fact(robot, "online", until))


class Fleet:
    """`robots` robots in the database at `dsn`."""

    def __init__(self, dsn: str, robots: int, seed: int = 1) -> None:
        self.database: psycopg.Connection[Any] = psycopg.connect(dsn, autocommit=True)
        self.ledger = Ledger()
        self.beats = 0
        self._random = random.Random(seed)
        now = time.time()
        self._last = [now] * robots
        self._due = [(now + self._random.uniform(0, INTERVAL_SECONDS), robot) for robot in range(robots)]
        heapq.heapify(self._due)
        #: robot → (silent from its first beat after this, for so long; None: for ever)
        self._plan: dict[int, tuple[float, float | None]] = {}
        self._pulsed = 0.0
        moment = datetime.fromtimestamp(now, UTC)
        self.database.execute(_MAKE, [SITES, moment, moment, INTERVAL_SECONDS, robots])

    def plan(self, begins: float, ends: float) -> None:
        """Let robots fall silent between these moments: some near misses, some late, some offline, a site at once."""
        robots = [robot for robot in range(len(self._last)) if robot % SITES]
        chosen = iter(self._random.sample(robots, len(robots) // 8))
        several = len(robots) // 40
        for gaps in ((4.0, 4.5), (7.0, 10.0), (14.0, 20.0)):
            for robot in (next(chosen) for _ in range(several)):
                self._plan[robot] = (self._random.uniform(begins, ends), self._random.uniform(*gaps))
        for robot in (next(chosen) for _ in range(several // 2)):
            self._plan[robot] = (self._random.uniform(begins, ends), None)
        for robot in range(0, len(self._last), SITES):
            self._plan[robot] = ((begins + ends) / 2, 16.0)

    def kill(self, robots: Iterable[int]) -> None:
        """These say nothing any more."""
        for robot in robots:
            self._plan[robot] = (0.0, None)

    def run(self, until: float) -> None:
        """Speak in real time until then."""
        while (now := time.time()) < until:
            batch = list(self._take(now))
            if batch:
                self._write(batch)
            if now - self._pulsed >= PULSE_SECONDS:
                self.database.execute("SELECT heartbeat_say_hearing(%s)", [datetime.now(UTC)])
                self._pulsed = now
            time.sleep(max(0.0, now + BATCH_SECONDS - time.time()))

    def pause(self, seconds: float) -> None:
        """Nothing can be stored for so long. Then each robot speaks when it is its turn, and nobody was silent."""
        time.sleep(seconds)
        now = time.time()
        self._due = [(now + self._random.uniform(0, INTERVAL_SECONDS), robot) for _, robot in self._due]
        heapq.heapify(self._due)
        self._last = [now] * len(self._last)

    def silent(self) -> set[int]:
        """Robots that are not going to speak again."""
        return set(range(len(self._last))) - {robot for _, robot in self._due}

    def close_ledger(self, now: float) -> None:
        """Write down what is true of those that are still silent."""
        for robot in self.silent():
            self.ledger.facts += [fact for fact in _falls(robot, self._last[robot]) if fact.at <= now]

    def _take(self, now: float) -> Iterator[int]:
        while self._due and self._due[0][0] <= now:
            _, robot = heapq.heappop(self._due)
            following: float | None = now + INTERVAL_SECONDS
            begins, gap = self._plan.get(robot, (float("inf"), None))
            if now >= begins:
                del self._plan[robot]
                following = None if gap is None else now + gap
            if following is not None:
                heapq.heappush(self._due, (following, robot))
            yield robot

    def _write(self, robots: list[int]) -> None:
        now = time.time()
        moment = datetime.fromtimestamp(now, UTC)
        self.database.execute(_BEAT, [[b"r%d" % robot for robot in robots], [moment] * len(robots)])
        stored = time.time()
        for robot in robots:
            if stored - self._last[robot] > LIMITS.late_after_seconds:
                self.ledger.silence(robot, self._last[robot], now, stored)
            self._last[robot] = now
        self.beats += len(robots)


def _falls(robot: int, last: float) -> Iterator[Fact]:
    yield Fact(robot, "late", last + LIMITS.late_after_seconds)
    yield Fact(robot, "offline", last + LIMITS.offline_after_seconds)
