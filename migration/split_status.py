"""The split as a fact: asked by the route file, acknowledged by every proxy, observed in live traffic."""

from typing import Any

from migration import routing, traffic
from migration.drivers.errors import RouteError
from migration.drivers.route_file import Routed
from migration.models import PhaseRun


def split(run: PhaseRun, flow: traffic.Flow | None) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Asked by the route file, acknowledged by every proxy, observed in live traffic."""
    observed = flow.new_percent if flow else None
    empty = {"version": None, "proxies": [], "acknowledged": None, "acknowledged_count": 0, "in_line": False}
    try:
        file = routing.route_file()
        routed, latched = file.read(), file.latched()
    except RouteError as error:
        return {"asked": run.phase.percent, "observed": observed, "sentence": str(error), **empty}, None
    answers = routing.acknowledgements(routed.version)
    late = [answer["name"] for answer in answers if not answer["acknowledged"]]
    latch = None
    if latched:
        at = latched.at if isinstance(latched.at, str) else latched.at.isoformat()
        latch = {"because": latched.because, "by": latched.by, "at": at}
    return {
        "asked": routed.plan.percent,
        "acknowledged": None if late else routed.plan.percent,
        "observed": observed,
        "version": routed.version,
        "proxies": answers,
        "acknowledged_count": len(answers) - len(late),
        "in_line": not late and _contradiction(routed, flow) is None,
        "sentence": _split_sentence(routed, late, flow),
    }, latch


def _contradiction(routed: Routed, flow: traffic.Flow | None) -> str | None:
    if flow is None:
        return "no live traffic was measured lately"
    return routing.contradiction(routed.plan.percent, flow.owned("new"), flow.owned("legacy"))


def _split_sentence(routed: Routed, late: list[str], flow: traffic.Flow | None) -> str:
    if late:
        return f"{', '.join(late)} does not run route {routed.version} yet"
    return _contradiction(routed, flow) or "asked, acknowledged and observed are in line"
