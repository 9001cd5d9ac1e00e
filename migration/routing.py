"""The route file and the proxies of this installation, and what each phase asks of them. Needs no database."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from migration.drivers.envoy import Proxy, parse_proxies
from migration.drivers.route_file import RouteFile
from migration.rules.phases import Phase
from migration.rules.routes import RoutePlan
from migration.rules.split import Side

#: ids that are asked of each proxy; DESIGN.md wants at least 60
PROBE_IDS = tuple(f"probe-{number:03d}" for number in range(80))
#: how long live traffic is looked at beside the probes, seconds
LIVE_SAMPLE_SECONDS = 0.15


def route_file() -> RouteFile:
    """The one writer of routes, on this installation's directory."""
    return RouteFile(Path(settings.ENVOY_STATE_DIR))


def proxies() -> list[Proxy]:
    """Every proxy that robots may reach."""
    return parse_proxies(settings.PROXIES)


def plan_for(phase: Phase, pins: Mapping[str, str]) -> RoutePlan:
    """What the proxies have to do in a phase. In Preparation `new` hears nothing and answers nothing."""
    heard = phase.number > 0
    return RoutePlan(
        phase=phase.slug,
        percent=phase.percent,
        shadow=phase.shadow,
        failover_to_new=heard,
        accept_v2=heard,
        pins=dict(pins),
        latched=False,
        operators=Side.NEW if phase.percent == 100 else Side.LEGACY,
    )


def emergency_plan(phase: Phase) -> RoutePlan:
    """Everything on legacy, latched; copies still go to `new`, so that it can be seen to recover."""
    return RoutePlan(
        phase=phase.slug,
        percent=0,
        shadow=True,
        failover_to_new=False,
        accept_v2=False,
        pins={},
        latched=True,
        operators=Side.LEGACY,
    )


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the proxies and the traffic said to a written route."""

    version: int
    #: seconds from the write, by proxy
    acknowledged: dict[str, float] = field(default_factory=dict)
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


def confirm(
    plan: RoutePlan, version: int, *, deadline_seconds: float, asked: Sequence[Proxy] | None = None
) -> Confirmation:
    """Wait until every proxy runs `version` and the split is observed, at most `deadline_seconds` for each of both.

    One dead proxy never holds up the others: they are asked side by side, and it is named in `late`.
    """
    asked = list(asked) if asked is not None else proxies()
    began = time.monotonic()
    answers = wait_for_all(asked, version, deadline_seconds)
    late = [f"{answer.proxy}: {answer.reason}" for answer in answers if answer.seconds is None]
    acknowledged = {answer.proxy: answer.seconds for answer in answers if answer.seconds is not None}
    acknowledged_seconds = time.monotonic() - began if not late else None
    running = [proxy for proxy in asked if proxy.name in acknowledged]
    wrong, percent = _observe(plan, running, deadline_seconds)
    late += wrong
    return Confirmation(
        version=version,
        acknowledged=acknowledged,
        late=late,
        acknowledged_seconds=acknowledged_seconds,
        observed_seconds=time.monotonic() - began if running and not wrong else None,
        observed_percent=percent,
    )
