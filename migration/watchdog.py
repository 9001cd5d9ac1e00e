"""The watchdog: reads the proxies' own statistics every second and rolls back by itself.

Looking and acting need no database. What it saw goes to a recorder, which has its own thread: a database that hangs
delays the record, never the rollback.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from migration import rolling_back, routing, traffic
from migration.actors import WATCHDOG
from migration.drivers.errors import RouteError
from migration.errors import Refused
from migration.rules.plans import RoutePlan
from migration.rules.watching import Action, Decision, Matrix, Seen, decide

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
#: what is judged: long enough for a hundred requests of a small fleet, short enough to be back within 5 s
WINDOW_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Look:
    """One look at all proxies: their counters by name, who did not answer, and what was decided."""

    counters: dict[str, traffic.Totals]
    silent: list[str]
    decision: Decision


@dataclass(slots=True)
class Watchdog:
    """Looks, decides, acts. Keeps only the last seconds in memory."""

    matrix: Matrix = field(default_factory=Matrix)
    tell: Callable[[Look], None] = lambda look: None
    _looks: deque[tuple[float, dict[str, traffic.Totals]]] = field(default_factory=deque)
    _judged_version: int | None = None
    _looks_above: int = 0
    _slow_since: float | None = None
    _down_since: float | None = None

    def look(self) -> Look:
        """Read every proxy, judge the latest seconds, act, and tell the recorder."""
        now = time.monotonic()
        counters, silent = routing.read_counters()
        self._looks.append((now, counters))
        while len(self._looks) > 1 and now - self._looks[0][0] > WINDOW_SECONDS:
            self._looks.popleft()
        decision = self._decide(now)
        look = Look(counters, silent, decision)
        if decision.action in (Action.PREVIOUS, Action.EMERGENCY):
            self._act(decision)
        elif decision.action is not Action.NOTHING:
            log.warning("watchdog.noticed", action=decision.action, rule=decision.rule, sentence=decision.sentence)
        self.tell(look)
        return look

    def _decide(self, now: float) -> Decision:
        try:
            routed = routing.route_file().read()
        except RouteError as error:
            log.error("watchdog.no_route", error=str(error))
            return Decision(Action.NOTHING)
        if routed.version != self._judged_version:
            # What happened under another route says nothing about this one: judge what comes from here on.
            self._judged_version = routed.version
            self._forget()
        began, earlier = self._looks[0]
        flow = traffic.between(traffic.nothing(), traffic.change(earlier, self._looks[-1][1]), now - began)
        new, legacy = flow.window("new"), flow.window("legacy")
        self._looks_above = self._looks_above + 1 if new.error_share > self.matrix.rollback_share else 0
        is_slow = new.p99_milliseconds is not None and new.p99_milliseconds > self.matrix.slow_milliseconds
        is_down = new.requests > 0 and new.errors >= new.requests
        self._slow_since = (self._slow_since or now) if is_slow else None
        self._down_since = (self._down_since or now) if is_down else None
        seen = Seen(
            new=new,
            legacy=legacy,
            looks_above=self._looks_above,
            in_play=_can_go_back(routed.plan),
            slow_for_seconds=now - self._slow_since if self._slow_since else 0.0,
            down_for_seconds=now - self._down_since if self._down_since else 0.0,
        )
        return decide(seen, self.matrix)

    def _act(self, decision: Decision) -> None:
        target = "emergency" if decision.action is Action.EMERGENCY else "previous"
        try:
            rolling_back.roll_back(target, reason=decision.sentence, actor=WATCHDOG, trigger=rolling_back.AUTOMATIC)
        except Refused as refused:
            log.warning("watchdog.refused", sentence=str(refused))

    def _forget(self) -> None:
        while len(self._looks) > 1:
            self._looks.popleft()
        self._looks_above = 0
        self._slow_since = self._down_since = None


def _can_go_back(plan: RoutePlan) -> bool:
    """Whether there is anything to take from `new`: it owns traffic or hears copies, and no latch holds already."""
    return not plan.latched and (plan.percent > 0 or plan.shadow)


def as_detail(look: Look, load: dict[str, float]) -> dict[str, Any]:
    """What a pulse carries."""
    return {**load, "silent_proxies": look.silent, "action": look.decision.action, "sentence": look.decision.sentence}
