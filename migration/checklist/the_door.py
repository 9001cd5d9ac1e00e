"""The robots' door: it is in place, it obeys, and nobody goes around it."""

import time
from datetime import datetime, timedelta

import httpx
from django.conf import settings

from heartbeat.models import Robot
from migration import routing
from migration.checklist.registry import Finding, check, holds, unknown
from migration.clock import system_clock
from migration.drivers.errors import RouteError, StaleVersion
from migration.models import TrafficShift
from migration.rules.bypassing import Watched, bypassers
from migration.rules.voting import Role

#: what we ask of every proxy for a change of the route
DRILL_LIMIT_SECONDS = 1.0
_DRILL_DEADLINE_SECONDS = 5.0
#: a rehearsal of the way back changes the route three times; what was asked about a route that is gone says nothing
_TRIES = 3
#: a robot's next heartbeat is waited for at most this long
_LONGEST_WATCH_SECONDS = 60.0
#: Envoy publishes its counts every 0.25 s, and a copy needs a moment to be stored
_SETTLE_SECONDS = 1.0


@check(
    "door",
    "The robots' door is in place",
    Role.INFRASTRUCTURE,
    "Start every proxy that PROXIES names, give it the route directory (ENVOY_STATE_DIR), and let robots' address lead "
    "to it.",
)
def door() -> Finding:
    """Every proxy runs the route in force, every probe id obeys, live traffic does not contradict."""
    file = routing.route_file()
    try:
        for _ in range(_TRIES):
            routed = file.read()
            seen = routing.confirm(routed, deadline_seconds=1.0)
            if not seen.late or file.read().version == routed.version:
                break
        else:
            return unknown("the route is changed again and again; run it again when it rests")
    except RouteError as error:
        return holds(False, str(error))
    count = len(routing.proxies())
    told = f"{len(seen.acknowledged)} of {count} proxies run route {routed.version}, every probe obeys"
    return holds(not seen.late, "; ".join(seen.late) or told, version=routed.version, seconds=dict(seen.acknowledged))


@check(
    "route-drill",
    f"Every proxy takes a drill of a route within {DRILL_LIMIT_SECONDS:g} s",
    Role.ON_CALL,
    "Look at the proxies that the sentence names: they do not watch ENVOY_STATE_DIR, or do not answer.",
    fresh_for=timedelta(hours=24),
    every=timedelta(hours=12),
)
def route_drill() -> Finding:
    """What a rollback does, without moving anybody: the plan in force is written again, and everybody confirms it."""
    file = routing.route_file()
    for _ in range(_TRIES):
        if TrafficShift.objects.filter(state__in=TrafficShift.WAITING).exists():
            return unknown("a shift is on its way; run it again when it is done")
        try:
            if file.latched():
                return unknown("an emergency is latched; nothing is drilled then")
            routed = file.read()
            drilled = file.write(
                routed.plan, expected_version=routed.version, because="drill: the same plan again", by="checklist"
            )
            seen = routing.confirm(drilled, deadline_seconds=_DRILL_DEADLINE_SECONDS)
            if seen.is_observed or file.read().version == drilled.version:
                return _drilled(seen)
        except StaleVersion:
            continue
        except RouteError as error:
            return holds(False, str(error))
    return unknown("the route is changed again and again; run it again when it rests")


def _drilled(seen: routing.Confirmation) -> Finding:
    figures = {"version": seen.version, "seconds": dict(seen.acknowledged)}
    if not seen.is_observed:
        return holds(False, "; ".join(seen.late) or "not observed", **figures)
    slowest = max(seen.acknowledged.values())
    told = f"{len(seen.acknowledged)} of {len(routing.proxies())} within {slowest:.2f} s"
    return holds(slowest <= DRILL_LIMIT_SECONDS, told, **figures)


@check(
    "bypass",
    "Nobody goes around the door",
    Role.INFRASTRUCTURE,
    "Let the address that the named robots call lead to the door, and close legacy's port to everything but the "
    "proxies and the control plane.",
    fresh_for=timedelta(minutes=30),
    every=timedelta(minutes=2),
)
def bypass() -> Finding:
    """Rows of legacy that change although the door saw nothing. Waits for a heartbeat of every robot."""
    seconds = min(1.2 * settings.ROBOT_INTERVAL_SECONDS, _LONGEST_WATCH_SECONDS)
    try:
        plan = routing.route_file().read().plan
        began = system_clock().now()
        calls_before = _calls()
        with httpx.Client(timeout=5.0) as client:
            rows_before = _last_seen(client)
            time.sleep(seconds)
            rows_after = _last_seen(client)
        time.sleep(_SETTLE_SECONDS)
        calls = _calls() - calls_before
    except (RouteError, httpx.HTTPError, ValueError) as error:
        return unknown(f"cannot be watched: {error!r}")
    except ProxySilent as error:
        return unknown(str(error))
    changed = {name for name, seen in rows_after.items() if rows_before.get(name) != seen}
    heard = _heard_by_new(began) if plan.shadow or plan.percent else None
    watched = Watched(changed=frozenset(changed), calls_through_the_door=calls, heard_by_new=heard)
    told = bypassers(watched)
    figures = {"changed": len(changed), "calls": calls, "seconds": round(seconds, 1), "named": list(told.names[:100])}
    if told.at_least:
        return holds(False, told.sentence, **figures)
    if not changed:
        return unknown(f"no row of legacy changed within {seconds:.0f} s: nobody spoke", **figures)
    return holds(True, f"{len(changed):,} rows changed, the door saw {calls:,} calls", **figures)


class ProxySilent(Exception):
    """A proxy whose counters are missing may have seen the calls."""


def _calls() -> int:
    totals, silent = routing.read_counters()
    if silent:
        raise ProxySilent(f"{', '.join(silent)} does not answer: what it saw is not known")
    return sum(int(counters["owned.new"]) + int(counters["owned.legacy"]) for counters in totals.values())


def _last_seen(client: httpx.Client) -> dict[str, str]:
    answer = client.get(f"{settings.LEGACY_URL}/api/robots")
    answer.raise_for_status()
    return {str(row["robot_id"]): str(row.get("last_seen")) for row in answer.json() if row.get("robot_id")}


def _heard_by_new(since: datetime) -> frozenset[str]:
    """Ids that `new` heard itself, as owner, as shadow or relayed; lowered as robots are keyed."""
    heard = Robot.objects.filter(last_seen_at__gte=since - timedelta(seconds=1)).values_list("robot_id", flat=True)
    return frozenset(robot_id.lower() for robot_id in heard)
