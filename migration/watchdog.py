"""The watchdog: reads the proxies' own statistics every second and rolls back by itself.

Looking and acting need no database. What it saw goes to a recorder, which has its own thread: a database that hangs
delays the record, never the rollback. Of several watchdogs only the holder of a lease on disk looks; one that was
stopped is no holder any more when it goes on.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog

from migration import guarding, rolling_back, routing, traffic
from migration.actors import WATCHDOG
from migration.drivers.errors import RouteError
from migration.drivers.statistics import Counters
from migration.errors import Refused
from migration.rules import cohort_errors
from migration.rules.cohort_errors import CohortServed
from migration.rules.detecting import Suspicion
from migration.rules.plans import RoutePlan
from migration.rules.split import Side
from migration.rules.watching import MOVES, Action, Decision, Guarding, Matrix, Seen, Window, decide

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
#: what is judged: long enough for a hundred requests of a small fleet, short enough to be back within 5 s
WINDOW_SECONDS = 3.0
#: in which cohort the errors are is asked of a longer time: a cohort has few of them, and no decision waits for it
COHORT_SECONDS = 60.0
#: errors this soon after a step back of the watchdog's own are held against the whole of `new`, not against its share
STEP_SECONDS = 30.0
#: a legacy that is down while `new` fails is restarted this often at most
RESTART_EVERY_SECONDS = 60.0

_TARGETS = {
    Action.PREVIOUS: "previous",
    Action.EMERGENCY: "emergency",
    Action.DATA_CORRUPTION: "data_corruption",
}


@dataclass(frozen=True, slots=True)
class Look:
    """One look at all proxies: their counters by name, who did not answer, and what was decided."""

    counters: dict[str, traffic.Totals]
    silent: list[str]
    decision: Decision
    guarding: Guarding = field(default_factory=Guarding)


@dataclass(slots=True)
class Watchdog:
    """Looks, decides, acts. Keeps only the last seconds in memory."""

    matrix: Matrix = field(default_factory=Matrix)
    tell: Callable[[Look], None] = lambda look: None
    #: why the stored state is not to be trusted, as was last heard from whoever checks it, between the look before and
    #: this one; empty while nothing speaks against it
    corruption: Callable[[], str] = lambda: ""
    _looks: deque[tuple[float, dict[str, traffic.Totals]]] = field(default_factory=deque)
    _memory: deque[tuple[float, dict[str, traffic.Totals]]] = field(default_factory=deque)
    _judged: tuple[Any, ...] | None = None
    _looks_above: int = 0
    _suspicion: Suspicion = field(default_factory=Suspicion)
    _slow_since: float | None = None
    _down_since: float | None = None
    _stepped_back_at: float | None = None
    _restarted_at: float | None = None

    def look(self) -> Look:
        """Read every proxy, judge the latest seconds, act, and tell the recorder."""
        now = time.monotonic()
        counted, silent = routing.counters()
        self._looks.append((now, {name: counters.as_totals() for name, counters in counted.items()}))
        self._memory.append(self._looks[-1])
        for kept, seconds in ((self._looks, WINDOW_SECONDS), (self._memory, COHORT_SECONDS)):
            while len(kept) > 1 and now - kept[0][0] > seconds:
                kept.popleft()
        allowed = guarding.in_force()
        decision = self._decide(now, counted, allowed)
        look = Look(self._looks[-1][1], silent, decision, allowed)
        if decision.action not in (Action.NOTHING, *MOVES):
            log.warning("watchdog.noticed", action=decision.action, rule=decision.rule, sentence=decision.sentence)
        for finding in decision.observed:
            log.warning("watchdog.observed", would=finding.action, rule=finding.rule, sentence=finding.sentence)
        self.tell(look)
        return look

    def _decide(self, now: float, counted: Mapping[str, Counters], allowed: Guarding) -> Decision:
        try:
            routed = routing.route_file().read()
        except RouteError as error:
            log.error("watchdog.no_route", error=str(error))
            return Decision(Action.NOTHING)
        is_another = (judged := _judged_by(routed.plan)) != self._judged
        if is_another:
            # What happened under another route says nothing about this one: judge what comes from here on.
            self._judged = judged
            self._forget()
        seen = self._seen(now, counted, routed.plan, corruption="" if is_another else self.corruption())
        decision = decide(seen, self.matrix, allowed)
        if decision.action in MOVES:
            self._act(decision, routed.plan, seen, now)
        elif decision.action is Action.HOLD and decision.rule == "error_rate_5" and seen.legacy_is_out:
            self._wake_legacy(now)
        return decision

    def _seen(self, now: float, counted: Mapping[str, Counters], plan: RoutePlan, corruption: str) -> Seen:
        began, earlier = self._looks[0]
        latest = self._looks[-1][1]
        flow = traffic.between(traffic.nothing(), traffic.change(earlier, latest), now - began)
        new, legacy = flow.window("new"), flow.window("legacy")
        self._looks_above = self._looks_above + 1 if new.error_share > self.matrix.rollback_share else 0
        self._suspicion = self._suspected(latest)
        is_slow = new.p99_milliseconds is not None and new.p99_milliseconds > self.matrix.slow_milliseconds
        self._slow_since = (self._slow_since or now) if is_slow else None
        self._down_since = _down_since(self._down_since, now, new, _is_out(counted, Side.NEW))
        return Seen(
            new=new,
            legacy=legacy,
            looks_above=self._looks_above,
            in_play=_can_go_back(plan),
            slow_for_seconds=now - self._slow_since if self._slow_since else 0.0,
            down_for_seconds=now - self._down_since if self._down_since else 0.0,
            suspicion=self._suspicion,
            legacy_is_out=_is_out(counted, Side.LEGACY),
            stepped_back=self._stepped_back_at is not None and now - self._stepped_back_at < STEP_SECONDS,
            corruption=corruption,
            where=cohort_errors.where(self._cohorts()) if new.errors else "",
        )

    def _cohorts(self) -> tuple[CohortServed, ...]:
        """What each system did for each cohort under the route in force, in the latest minute."""
        grown = traffic.change(self._memory[0][1], self._memory[-1][1])
        return traffic.between(traffic.nothing(), grown, COHORT_SECONDS).cohorts

    def _suspected(self, latest: dict[str, traffic.Totals]) -> Suspicion:
        """What the change detector thinks after the newest look alone."""
        before = self._looks[-2][1] if len(self._looks) > 1 else None
        grown = traffic.between(traffic.nothing(), traffic.change(before, latest), LOOK_SECONDS).window("new")
        return self._suspicion.after(grown.requests, min(grown.errors, grown.requests), self.matrix.detector)

    def _act(self, decision: Decision, plan: RoutePlan, seen: Seen, now: float) -> None:
        cohorts = sorted(cohort_errors.by_kind_and_site(self._cohorts()), key=lambda each: -each.errors)
        evidence = {
            "new": asdict(seen.new),
            "legacy": asdict(seen.legacy),
            "window_seconds": WINDOW_SECONDS,
            "cohorts": [each.as_evidence() for each in cohorts],
            "cohort_window_seconds": COHORT_SECONDS,
        }
        try:
            record = rolling_back.roll_back(
                _TARGETS[decision.action],
                reason=decision.sentence,
                actor=WATCHDOG,
                trigger=rolling_back.AUTOMATIC,
                leaving=plan.phase,
                rule=decision.rule,
                evidence=evidence,
            )
        except Refused as refused:
            log.warning("watchdog.refused", sentence=str(refused))
        else:
            self._stepped_back_at = now if decision.action is Action.PREVIOUS else None
            if record.state != rolling_back.FAILED:
                # People may be back under the very route that was left before the next look.
                self._judged = None

    def _wake_legacy(self, now: float) -> None:
        """Both systems fail: bring legacy back, beside the watching, so that there is somewhere to go back to."""
        if self._restarted_at is not None and now - self._restarted_at < RESTART_EVERY_SECONDS:
            return
        self._restarted_at = now
        threading.Thread(target=rolling_back.restart_legacy_if_unhealthy, name="restart-legacy", daemon=True).start()

    def _forget(self) -> None:
        for kept in (self._looks, self._memory):
            while len(kept) > 1:
                kept.popleft()
        self._looks_above = 0
        self._suspicion = Suspicion()
        self._slow_since = self._down_since = None


def _judged_by(plan: RoutePlan) -> tuple[Any, ...]:
    """What makes another route for the watchdog: everything but single pins, which a rehearsal sets and takes back."""
    return (plan.phase, plan.percent, plan.shadow, plan.failover_to_new, plan.accept_v2, plan.latched)


def _can_go_back(plan: RoutePlan) -> bool:
    """Whether there is anything to take from `new`: it owns traffic or hears copies, and no latch holds already."""
    return not plan.latched and (plan.percent > 0 or plan.shadow)


def _is_out(counted: Mapping[str, Counters], side: Side) -> bool:
    """Whether every proxy that answered has the system out of rotation. Ejection starves the counters of failures."""
    return bool(counted) and all(counters.ejected.get(side, 0) > 0 for counters in counted.values())


def _down_since(since: float | None, now: float, new: Window, is_out: bool) -> float | None:
    """Since when `new` has answered nothing; None while it answers. No traffic alone says neither."""
    if new.requests > new.errors:
        return None
    if is_out or new.requests:
        return since or now
    return since


def as_detail(look: Look, load: dict[str, float]) -> dict[str, Any]:
    """What a pulse carries."""
    return {**load, "silent_proxies": look.silent, "action": look.decision.action, "sentence": look.decision.sentence}
