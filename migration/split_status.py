"""The split as a fact: asked by the route file, acknowledged by every proxy, observed in live traffic."""

from datetime import datetime, timedelta
from typing import Any

from migration import routing, traffic
from migration.drivers.errors import RouteError
from migration.drivers.latch import Latch
from migration.models import PhaseRun
from migration.rules.observing import contradiction

IN_LINE = "asked, acknowledged and observed are in line"


def split(run: PhaseRun, now: datetime, width: timedelta) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The three marks of the split and the latch. `observed` looks at most `width` back, and never before the route.

    What was not measured under the route in force is None: a share from before a rollback would be a wish.
    """
    try:
        file = routing.route_file()
        routed, latched = file.read(), file.latched()
    except RouteError as error:
        unknown = {"version": None, "proxies": [], "acknowledged": None, "acknowledged_count": 0, "observed": None}
        return {"asked": run.phase.percent, "in_line": False, "sentence": str(error), **unknown}, None
    flow = traffic.after(routed.at, now, width)
    answers = routing.acknowledgements(routed.version)
    late = [answer["name"] for answer in answers if not answer["acknowledged"]]
    trouble = _trouble(late, routed.version, routed.plan.expected_percent, flow)
    return {
        "asked": routed.plan.percent,
        "acknowledged": None if late else routed.plan.percent,
        "observed": flow.new_percent if flow else None,
        "version": routed.version,
        "proxies": answers,
        "acknowledged_count": len(answers) - len(late),
        "in_line": trouble is None,
        "sentence": trouble or IN_LINE,
    }, _told(latched)


def _trouble(late: list[str], version: int, percent: float, flow: traffic.Flow | None) -> str | None:
    """Why the three marks are not in line, or None."""
    if late:
        return f"{', '.join(late)} does not run route {version} yet"
    if flow is None or flow.new_percent is None:
        return f"no live traffic was measured under route {version} yet"
    return contradiction(percent, flow.owned("new"), flow.owned("legacy"))


def _told(latch: Latch | None) -> dict[str, Any] | None:
    return {"because": latch.because, "by": latch.by, "at": latch.at.isoformat()} if latch else None
