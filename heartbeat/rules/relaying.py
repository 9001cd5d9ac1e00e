"""Which v2 heartbeats go to legacy, in which order, and what became of each (DESIGN.md, invariant 3)."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from heartbeat.rules.rows import OFFLINE_MARK


class Outcome(StrEnum):
    """What became of a v2 heartbeat on its way to legacy."""

    RELAYED = "relayed"
    #: legacy was slow, or a newer one of the same robot was there first: legacy has the newer state
    COALESCED = "coalesced"
    #: legacy stamps `last_seen` with now, so an old heartbeat would make a silent robot look alive
    TOO_OLD = "too_old"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class Item:
    """One accepted v2 heartbeat. `at` is when it was so (server time), `body` what legacy is told."""

    received_at: datetime
    at: datetime
    key: bytes
    request_id: Any
    body: Mapping[str, Any]
    attempts: int = 0
    outcome: Outcome | None = None
    #: when it was sent to legacy, and when legacy had taken it
    sent_at: datetime | None = None
    acknowledged_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and counts that bound the relay. Behind by `behind_seconds` it sends each robot's newest only."""

    too_old_seconds: float = 10.0
    behind_seconds: float = 1.0
    most_waiting: int = 5_000
    attempts: int = 3


@dataclass(slots=True)
class Finished:
    """All heartbeats up to `cursor` have an outcome: how many of which, and what each robot's last relayed one was."""

    cursor: datetime | None = None
    counts: Counter[Outcome] = field(default_factory=Counter)
    relayed: dict[bytes, Item] = field(default_factory=dict)


class Window:
    """The heartbeats after the cursor that have been read and are not all done.

    A robot's heartbeats are sent one after the other, because each replaces legacy's whole row. `latest` maps a robot's
    key to `at` of the last one that legacy took.
    """

    def __init__(self, limits: Limits, latest: Mapping[bytes, datetime]) -> None:
        self.limits = limits
        self._latest = dict(latest)
        self._order: deque[Item] = deque()
        self._waiting: dict[bytes, deque[Item]] = {}
        #: keys of robots with something to send and nothing under way
        self._ready: deque[bytes] = deque()
        self._finished = Finished()

    @property
    def room(self) -> int:
        """How many more may be read."""
        return self.limits.most_waiting - len(self._order)

    @property
    def ready(self) -> bool:
        """Is there something to send now?"""
        return bool(self._ready)

    def __len__(self) -> int:
        return len(self._order)

    def lag_seconds(self, now: datetime) -> float:
        """How long ago the oldest that is not done was received."""
        return (now - self._order[0].received_at).total_seconds() if self._order else 0.0

    def extend(self, items: Iterable[Item]) -> None:
        """Add what was read, in the order of `received_at`."""
        for item in items:
            self._order.append(item)
            if item.key not in self._waiting:
                self._waiting[item.key] = deque()
                self._ready.append(item.key)
            self._waiting[item.key].append(item)

    def next(self, now: datetime, *, silent: bool = False) -> Item | None:
        """The next to send; its robot's others wait until it is settled or put back.

        While legacy is `silent`, what has become too old has failed: it was not too old when it came.
        """
        behind = self.lag_seconds(now) > self.limits.behind_seconds
        while self._ready:
            key = self._ready.popleft()
            queue = self._waiting[key]
            self._expire(queue, now, tried=silent)
            if behind:
                while len(queue) > 1:
                    self._finish(queue.popleft(), Outcome.COALESCED)
            item = self._first_that_is_news(queue)
            if item is not None:
                return item
            del self._waiting[key]
        return None

    def settle(self, item: Item, outcome: Outcome) -> None:
        """What came of an item that `next` gave."""
        queue = self._waiting[item.key]
        queue.popleft()
        if queue:
            self._ready.append(item.key)
        else:
            del self._waiting[item.key]
        if outcome is Outcome.RELAYED:
            self._latest[item.key] = item.at
        self._finish(item, outcome)

    def put_back(self, item: Item) -> None:
        """Legacy could not be reached, or failed: try again while it is fresh, unless it was tried often enough."""
        if item.attempts >= self.limits.attempts:
            self.settle(item, Outcome.FAILED)
        else:
            self._ready.append(item.key)

    def expire(self, now: datetime) -> None:
        """While legacy cannot be reached: what has become too old meanwhile has failed."""
        for key in [*self._ready]:
            self._expire(self._waiting[key], now, tried=True)
            if not self._waiting[key]:
                self._ready.remove(key)
                del self._waiting[key]

    def take_finished(self) -> Finished:
        """What has been finished since the last call."""
        finished, self._finished = self._finished, Finished()
        return finished

    def _first_that_is_news(self, queue: deque[Item]) -> Item | None:
        """An item that is older than what legacy has of this robot would take its row backwards."""
        while queue:
            latest = self._latest.get(queue[0].key)
            if latest is None or queue[0].at > latest:
                return queue[0]
            self._finish(queue.popleft(), Outcome.COALESCED)
        return None

    def _expire(self, queue: deque[Item], now: datetime, *, tried: bool) -> None:
        oldest = now - timedelta(seconds=self.limits.too_old_seconds)
        kept = [item for item in queue if item.at >= oldest]
        if len(kept) < len(queue):
            for item in queue:
                if item.at < oldest:
                    self._finish(item, Outcome.FAILED if tried or item.attempts else Outcome.TOO_OLD)
            queue.clear()
            queue.extend(kept)

    def _finish(self, item: Item, outcome: Outcome) -> None:
        item.outcome = outcome
        while self._order and (done := self._order[0].outcome) is not None:
            first = self._order.popleft()
            self._finished.cursor = first.received_at
            self._finished.counts[done] += 1
            if done is Outcome.RELAYED:
                self._finished.relayed[first.key] = first


#: what legacy's clock and ours may differ by when its `last_seen` is compared with when we spoke to it
CLOCK_SLACK = timedelta(seconds=2)


def is_echo(
    row: Mapping[str, Any], relayed: Mapping[str, Any], sent_at: datetime, acknowledged_at: datetime, zone: Any = None
) -> bool:
    """Is this row of legacy's (`GET /api/robots`) nothing but what the relay told it?

    `relayed` is the body that was sent between the two moments; `zone` legacy's zone (None: this machine's), because
    its `last_seen` is naive. Sync must not take such a row for news from the robot, and neither what legacy itself
    wrote over its `health` since.
    """
    if any(row.get(name) != value for name, value in relayed.items() if not _is_marked(row, name)):
        return False
    try:
        seen = datetime.fromisoformat(str(row.get("last_seen")))
    except ValueError:
        return False
    if seen.tzinfo is None:
        seen = seen.replace(tzinfo=zone) if zone else seen.astimezone()
    return sent_at - CLOCK_SLACK <= seen <= acknowledged_at + CLOCK_SLACK


def _is_marked(row: Mapping[str, Any], name: str) -> bool:
    return name == "health" and row.get(name) == OFFLINE_MARK
