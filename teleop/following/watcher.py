"""One tick of the watcher of operation: read on, conclude, let time pass, store it all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from teleop.following import writing
from teleop.following.fleet import Changed, Fleet
from teleop.following.log import Said, read_heartbeats, read_signals
from teleop.following.store import Cursors, Store
from teleop.rules.quality import Quality

READ_AT_ONCE = 5_000
#: how often layouts are looked at, and open sessions' rows are stored
LAYOUTS_SECONDS, STORE_SECONDS = 10.0, 1.0
#: a pulse of ingest that is older than this means that it is deaf, and silence proves nothing
DEAF_SECONDS = 1.0


@dataclass(slots=True)
class Ticked:
    """What a tick found."""

    changes: list[Changed] = field(default_factory=list)
    read: int = 0
    behind: bool = False
    expired: list[tuple[str, str]] = field(default_factory=list)


class Watcher:
    """Follows through `store`; `fence` lets only the holder of the lease write."""

    def __init__(self, store: Store, fence: Callable[[], None]) -> None:
        self._store = store
        self._fence = fence
        self.fleet = Fleet()
        self._cursors: Cursors = store.cursors()
        self._layouts_at = self._stored_at = 0.0
        self._kept: Cursors = self._cursors
        self.fleet.use_layouts(store.layouts())
        resting_since = self._cursors.log_at.timestamp()
        for held in store.robots():
            if held.standing.open is None:
                # What a robot at rest says is not stored each time: it is taken to have spoken until the cursor.
                held.standing = replace(held.standing, heard_at=max(held.standing.heard_at, resting_since))
            self.fleet.put(held)

    def tick(self, now: float) -> Ticked:
        """Conclude what there is to conclude at `now` (epoch seconds) and store it. Raises what the database raises."""
        ticked = Ticked()
        self._look_around(now, ticked)
        heartbeats, log_at = read_heartbeats(self._store.connection, self._cursors.log_at, READ_AT_ONCE)
        signals, signal_id = read_signals(self._store.connection, self._cursors.signal_id, READ_AT_ONCE)
        ticked.behind = READ_AT_ONCE in (len(heartbeats), len(signals))
        said = sorted([*heartbeats, *signals], key=lambda each: each.received)
        ticked.read = len(said)
        self._introduce(said)
        for each in said:
            ticked.changes += self.fleet.hear(each)
        if not ticked.behind and (until := self._silence_counts_until(now)) is not None:
            ticked.changes += self.fleet.pass_time(until)
        self._cursors = Cursors(log_at, signal_id)
        self._write(now, ticked.changes)
        return ticked

    def _look_around(self, now: float, ticked: Ticked) -> None:
        if now - self._layouts_at >= LAYOUTS_SECONDS:
            self._layouts_at = now
            self.fleet.use_layouts(self._store.layouts())
        for session in self._store.stopped_sessions():
            self.fleet.stopped(session)
        ticked.expired = self._store.expire_stops()

    def _introduce(self, said: list[Said]) -> None:
        """Signals say neither kind nor site: those of new robots are looked up once."""
        strangers = {each.robot_key for each in said if not each.kind and each.robot_key not in self.fleet.robots}
        if strangers:
            kinds = self._store.kinds(strangers)
            for each in said:
                if each.robot_key in strangers and each.robot_key not in self.fleet.robots:
                    self.fleet.meet(each, *kinds.get(each.robot_key, ("", "")))

    def _silence_counts_until(self, now: float) -> float | None:
        """While ingest can store nothing, nobody is silent: time stands still at what it last could."""
        heard = self._store.heard_until()
        if heard is None:
            return None
        return now if now - heard <= DEAF_SECONDS else heard

    def _write(self, now: float, changes: list[Changed]) -> None:
        due = now - self._stored_at >= STORE_SECONDS
        if not changes and not due:
            return
        writes = list(self._writes(changes, everything=due))
        if not writes and self._cursors == self._kept:
            return
        writes.append(writing.cursor(self._cursors.log_at, self._cursors.signal_id))
        self._store.write(self._fence, writes)
        self._kept = self._cursors
        if due:
            self._stored_at = now
            self.fleet.dirty.clear()
            self.fleet.samples.clear()
        else:
            self.fleet.dirty.difference_update({each.held.key for each in changes})

    def _writes(self, changes: list[Changed], *, everything: bool) -> Iterator[writing.Write]:
        evidence: dict[bytes, Any] = {}
        for changed in changes:
            yield from writing.step(changed)
            evidence[changed.held.key] = changed.event.evidence
        if everything:
            for session, at, quality in self._latest_samples():
                yield from writing.sample(session, at, quality)
        for key in self.fleet.dirty:
            if everything or key in evidence:
                yield writing.operation(self.fleet.robots[key], evidence.get(key))

    def _latest_samples(self) -> list[tuple[str, float, Quality]]:
        """One a session: the latest since they were stored last."""
        latest = {session: (session, at, quality) for _, session, at, quality in self.fleet.samples}
        return list(latest.values())
