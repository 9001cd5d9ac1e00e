"""The watcher: a heap of deadlines, and what happens when one passes.

A deadline is only when to look: the robot is read again, so a heartbeat that was stored in time always wins, and ingest
has nothing to push. Everything that is decided follows from stored facts and the moment until which heartbeats could
be stored; nothing from when this process began.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from heartbeat.rules.liveness import Liveness
from heartbeat.watching import writing
from heartbeat.watching.incidents import Incidents, Write
from heartbeat.watching.judging import BEGINNING, Judge
from heartbeat.watching.legacy_rows import LegacyRows
from heartbeat.watching.robots import Change, Held, Reading, Watched
from heartbeat.watching.store import Store

#: what was received may be stored this much later than said: a pulse comes four times a second
SLACK = timedelta(seconds=0.5)
#: robots that are not online are read in turns of this many a tick, to notice those that come back
SILENT_A_TICK = 2_000
#: so many ticks read every robot once more, so that nothing is missed for good (one that was removed, a lost word)
ROUND_TICKS = 100
SMALLEST_PART = 20


@dataclass(slots=True)
class Ticked:
    """What one tick did."""

    changes: list[Change] = field(default_factory=list)
    #: until when heartbeats could be stored; None: nobody said so yet
    heard_until: datetime | None = None


class Watcher:
    """Watches the robots in `store`. After any error it is thrown away and a new one made: memory follows the facts."""

    def __init__(
        self, store: Store, fence: Callable[[], None], legacy: LegacyRows, *, fleet_interval_seconds: float
    ) -> None:
        self._store = store
        self._fence = fence
        self._robots: dict[bytes, Watched] = {}
        self._silent: dict[bytes, None] = {}
        self._turn = 0
        self._heap: list[tuple[float, bytes]] = []
        self._last_deaf_id = 0
        self._round_key = b""
        self._round_seen: set[bytes] = set()
        self._round_over = False
        self._unread = True
        store.listen()
        self._held = store.held()
        incidents = Incidents(store.open_incidents(), store.new_incident_id)
        self._judge = Judge(incidents, legacy, fleet_interval_seconds)

    def counts(self) -> Counter[str]:
        """How many robots are in each state."""
        return Counter(watched.held.state.value for watched in self._robots.values())

    @property
    def open_incidents(self) -> int:
        """How many incidents are not over."""
        return len(self._judge.incidents.open)

    def tick(self, now: datetime) -> Ticked:
        """Look at everything that is due at `now`, which was read from the clock before this call, and write it."""
        judge = self._judge
        # In this order: a deaf time is stored with the word that ends it, and robots are read after both.
        heard_until = self._store.heard_until()
        self._learn_of_deafness()
        judge.windows = self._store.windows()
        moment = min(now, heard_until + SLACK) if heard_until else BEGINNING
        due = self._due(moment)
        changed = self._read(due | self._turn_of_silent(), now)
        for key in due | changed:
            if watched := self._robots.get(key):
                again = judge.judge(watched, moment, now)
                self._place(watched)
                self._schedule(watched, again)
        gone = self._gone(now)
        judge.calm(moment)
        changes = self._write(now, gone)
        return Ticked(changes, heard_until)

    def _learn_of_deafness(self) -> None:
        fresh = self._store.deaf_after(self._last_deaf_id)
        if fresh:
            self._last_deaf_id = fresh[-1][0]
            self._judge.learn_of_deafness([deaf for _, deaf in fresh])

    def _due(self, moment: datetime) -> set[bytes]:
        until = moment.timestamp() if moment > BEGINNING else float("-inf")
        due = set()
        while self._heap and self._heap[0][0] <= until:
            at, key = heapq.heappop(self._heap)
            watched = self._robots.get(key)
            if watched and watched.deadline == at:
                watched.deadline = None
                due.add(key)
        return due

    def _turn_of_silent(self) -> set[bytes]:
        keys = list(self._silent)
        if len(keys) <= SILENT_A_TICK:
            return set(keys)
        self._turn = 0 if self._turn >= len(keys) else self._turn
        part = keys[self._turn : self._turn + SILENT_A_TICK]
        self._turn += SILENT_A_TICK
        return set(part)

    def _read(self, keys: set[bytes], now: datetime) -> set[bytes]:
        """Read these robots, those that somebody changed, and the next of the round; returns whom it read."""
        if self._unread:
            readings = list(self._store.read_all())
            self._unread = False
        else:
            keys |= self._store.told()
            part = self._store.read_after(self._round_key, max(SMALLEST_PART, len(self._robots) // ROUND_TICKS))
            self._round_over = not part
            self._round_key = part[-1].key if part else b""
            self._round_seen |= {reading.key for reading in part}
            readings = (self._store.read(keys) if keys else []) + part
        for reading in readings:
            self._take_in(reading, now)
        return {reading.key for reading in readings}

    def _take_in(self, reading: Reading, now: datetime) -> None:
        watched = self._robots.get(reading.key)
        if watched:
            watched.reading = reading
            return
        held = self._held.pop(reading.key, None)
        self._robots[reading.key] = watched = Watched(reading, held or Held(Liveness.NEVER, now))
        if held is None:
            self._judge.dirty[reading.key] = watched
        elif held.flapping and held.state is Liveness.ONLINE:
            self._judge.steadying[reading.key] = watched

    def _gone(self, now: datetime) -> list[bytes]:
        """At the end of a round: robots that nobody saw in it are no longer there, and leave their incidents."""
        if not self._round_over:
            return []
        missing = self._robots.keys() - self._round_seen
        # One that was entered while the round went on was not passed by.
        gone = list(missing - {reading.key for reading in self._store.read(missing)}) if missing else []
        self._round_seen = set()
        for key in gone:
            watched = self._robots.pop(key)
            self._judge.incidents.leave(watched, now)
            self._judge.dirty.pop(key, None)
            self._judge.steadying.pop(key, None)
            self._silent.pop(key, None)
        return gone

    def _place(self, watched: Watched) -> None:
        if watched.held.state is Liveness.ONLINE:
            self._silent.pop(watched.reading.key, None)
        else:
            self._silent[watched.reading.key] = None

    def _schedule(self, watched: Watched, at: datetime | None) -> None:
        deadline = at.timestamp() if at else None
        if deadline is not None and deadline != watched.deadline:
            heapq.heappush(self._heap, (deadline, watched.reading.key))
        watched.deadline = deadline

    def _write(self, now: datetime, gone: list[bytes]) -> list[Change]:
        judge = self._judge
        changes, judge.changes = judge.changes, []
        dirty, judge.dirty = list(judge.dirty.values()), {}
        writes: list[Write] = judge.incidents.writes(now)
        if dirty:
            writes.append(writing.held(dirty))
        if changes:
            writes.append(writing.events(changes, now))
        if gone:
            writes.append(writing.forgotten(gone))
        if writes:
            self._store.write(self._fence, *writes)
        return changes
