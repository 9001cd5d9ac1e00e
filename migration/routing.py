"""The route file and the proxies of this installation, and what each phase asks of them. Needs no database."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from migration.drivers.admin import NoAnswer
from migration.drivers.envoy import Proxy, observe, parse_proxies, side_by_side, wait_for_all
from migration.drivers.route_file import Routed, RouteFile
from migration.drivers.statistics import Counters
from migration.rules.observing import contradiction
from migration.rules.phases import Phase, phase_of
from migration.rules.plans import RoutePlan
from migration.rules.split import Side, default_side

#: how long live traffic is looked at beside the probes, seconds: the proxies publish their counts every 0.25 s
LIVE_SAMPLE_SECONDS = 0.3
#: a running proxy answers in a few milliseconds; one that does not is late
ACKNOWLEDGED_SECONDS = 0.3


def route_file() -> RouteFile:
    """The one writer of routes, on this installation's directory."""
    return RouteFile(Path(settings.ENVOY_STATE_DIR))


def proxies() -> list[Proxy]:
    """Every proxy that robots may reach."""
    return parse_proxies(settings.PROXIES)


def plan_for(
    phase: Phase,
    pins: Mapping[str, str],
    *,
    percent: int | None = None,
    cohort: Mapping[str, str] | None = None,
    robots: int = 0,
) -> RoutePlan:
    """What the proxies have to do in a phase. In Preparation `new` hears nothing and answers nothing.

    `percent` is less than the phase's own on the way into it; `cohort` names robots that went over by name.
    """
    in_play = phase.number > 0
    reached = phase.percent if percent is None else percent
    return RoutePlan(
        phase=phase.slug,
        percent=reached,
        shadow=phase.shadow,
        failover_to_new=in_play,
        accept_v2=in_play,
        pins=dict(pins),
        operators=default_side(reached),
        cohort=dict(cohort or {}),
        robots=robots if cohort else 0,
    )


def plan_back_to(phase: Phase, current: RoutePlan) -> RoutePlan:
    """What the proxies have to do when traffic goes back to a phase: robots return that went over by name after it."""
    kept = {key: slug for key, slug in current.cohort.items() if phase_of(slug).number <= phase.number}
    return plan_for(phase, current.pins, cohort=kept, robots=current.robots)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the proxies and the traffic said to a written route."""

    version: int
    #: seconds from the write, by proxy
    acknowledged: Mapping[str, float] = field(default_factory=dict)
    #: what did not happen, a sentence each, by the name of the proxy where it has one
    late: list[str] = field(default_factory=list)
    acknowledged_seconds: float | None = None
    observed_seconds: float | None = None
    #: the share of live traffic that `new` owned while it was observed, percent; None without traffic
    observed_percent: float | None = None

    @property
    def is_observed(self) -> bool:
        """Every proxy runs it, every probe obeyed, live traffic did not contradict."""
        return not self.late and self.observed_seconds is not None


def confirm(routed: Routed, *, deadline_seconds: float) -> Confirmation:
    """Wait until every proxy runs a route and the split is observed, at most `deadline_seconds`.

    One dead proxy never holds up the others: they are asked side by side, and it is named in `late`. Probes say
    when each id obeys; then live traffic is looked at, and must not contradict.
    """
    asked = proxies()
    seen = observe(asked, routed, deadline_seconds)
    before, _ = _count([proxy for proxy in asked if proxy.name in seen.acknowledged])
    time.sleep(LIVE_SAMPLE_SECONDS)
    after, _ = _count([proxy for proxy in asked if proxy.name in before])
    owned = {side: sum(after[name].owned_by(side) - before[name].owned_by(side) for name in after) for side in Side}
    against = contradiction(routed.plan.expected_percent, owned[Side.NEW], owned[Side.LEGACY])
    total = sum(owned.values())
    return Confirmation(
        version=routed.version,
        acknowledged=seen.acknowledged,
        late=[*seen.late, against] if against else seen.late,
        acknowledged_seconds=seen.acknowledged_seconds,
        observed_seconds=None if against else seen.observed_seconds,
        observed_percent=100 * owned[Side.NEW] / total if total > 0 else None,
    )


def acknowledgements(version: int) -> list[dict[str, Any]]:
    """What each proxy runs now, for a screen."""
    return [
        {
            "name": answer.proxy,
            "version": version if answer.seconds is not None else None,
            "acknowledged": answer.seconds is not None,
            "reason": answer.reason,
        }
        for answer in wait_for_all(proxies(), version, ACKNOWLEDGED_SECONDS)
    ]


def counters() -> tuple[dict[str, Counters], list[str]]:
    """The counters of every proxy by name, and the names of those that did not answer."""
    return _count(proxies())


def read_counters() -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The counters of every proxy as plain numbers, by name, and the names of those that did not answer."""
    counted, silent = counters()
    return {name: each.as_totals() for name, each in counted.items()}, silent


def ejections() -> int:
    """In how many places a system is out of rotation now, over all proxies that answer."""
    counted, _ = _count(proxies())
    return sum(sum(counters.ejected.values()) for counters in counted.values())


def _count(asked: list[Proxy]) -> tuple[dict[str, Counters], list[str]]:
    def ask(proxy: Proxy) -> Counters | None:
        try:
            return proxy.counters()
        except NoAnswer:
            return None

    answers = dict(zip([proxy.name for proxy in asked], side_by_side(ask, asked), strict=True))
    counted = {name: counters for name, counters in answers.items() if counters is not None}
    return counted, [name for name in answers if name not in counted]
