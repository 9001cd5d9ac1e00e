"""How fast the watchdog takes traffic back by itself: `python -m benchmarks.watchdog [--json FILE]`.

Gross faults of `new` at several phases, from the fault until the route is back and every probe obeys; a small fault, a
slow system, wrong data; and stretches in which nothing may move: a healthy system, and robots that all fall silent.
Small faults and false alarms are tabulated by simulation (`benchmarks.detecting`).
Baselines: an alert as Prometheus would have it, errors of the last minute against the same 5 %, asked every 10 and
every 30 s, of the same counters while a fifth of the answers fails and nobody acts; in the simulation, beside that,
the watchdog's window rule alone.
"""

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import detecting, refusals, reporting, sick
from benchmarks.rollback import REACH_SECONDS, NotReached
from benchmarks.shift import Robots, move, settle
from embedded.stack import Stack, fleet, running
from migration.drivers.route_file import Routed
from migration.rules.split import Side
from migration.rules.watching import Matrix

ROBOTS = 240
#: before each fault: long enough for the whole window to be of this route
HEALTHY_SECONDS = 4.0
QUIET_SECONDS = 20.0
#: no gross fault begins later than this, so that the run ends within 6 min on a busy machine as well
GROSS_SECONDS = 170.0
#: longer than the watchdog's window; robots that are stopped for 5 s give up what they had asked before
SILENT_SECONDS = 4.0
RECORDED_SECONDS = 20.0

#: whether a fault was noticed under another route than this version with this percentage
Noticed = Callable[[int, int], bool]


@dataclass(slots=True)
class Measured:
    """Everything the run measured. Seconds are from the fault on."""

    gross: dict[str, float] = field(default_factory=dict)
    #: the other faults, and what the watchdog is to do about them
    others: dict[str, tuple[str, float]] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    false_rollbacks: list[str] = field(default_factory=list)
    quiet_seconds: float = 0.0
    #: what reached `new` while it was healthy, requests a second, the least of all stretches
    per_second: float = float("inf")
    #: what began when (Unix time): a fault, its end
    begun: list[tuple[str, float]] = field(default_factory=list)
    #: what robots saw fail after each of these
    seen: list[refusals.Seen] = field(default_factory=list)
    #: how often the alert asks → seconds until it fires
    alert: dict[int, int] = field(default_factory=dict)


def main() -> int:
    """Run it, print the tables, write the JSON. 1 if a fault was missed or a healthy system was rolled back."""
    asked = reporting.arguments(__doc__.splitlines()[0] if __doc__ else "").parse_args()
    measured = Measured()
    with running() as stack:
        stack.use_from_here()
        logging.disable(logging.CRITICAL)  # every rollback is an event of that level; the tables say what they say
        ledger = stack.state / "benchmark-ledger"
        with fleet(stack.url("ROBOTS_DOOR_PORT"), ROBOTS, ledger) as process:
            robots = Robots(ledger, process)
            robots.wait_for(2 * ROBOTS)
            quiet(measured, robots)
            began = time.monotonic()
            for fault in sick.GROSS:
                if time.monotonic() - began > GROSS_SECONDS:
                    measured.missed.append(f"{fault.words}: not tried, out of time")
                elif (took := one(measured, stack, fault, is_back)) is not None:
                    measured.gross[fault.words] = took
            other(measured, stack, sick.DOWN, is_out)
            other(measured, stack, sick.SMALL, is_back)
            other(measured, stack, sick.SLOW, is_told)
            alerted(measured, stack)
            other(measured, stack, sick.wrong_data(), is_back)
        measured.seen = refusals.attribute(ledger, measured.begun)
    report(measured, asked.json)
    return 1 if measured.missed or measured.false_rollbacks else 0


def quiet(measured: Measured, robots: Robots) -> None:
    """A healthy system under load, then robots that all fall silent: nothing may move."""
    try:
        for slug in ("shadow", "full_100"):
            begin(measured, slug)
            robots.wait_for(robots.requests() + 2 * ROBOTS)
    except NotReached as missed:
        measured.missed.append(f"the quiet stretch: {missed}")
        return
    healthy(measured, "full_100", QUIET_SECONDS)
    with robots.silent():
        healthy(measured, "silent robots at full_100", SILENT_SECONDS, is_loaded=False)


def healthy(measured: Measured, what: str, seconds: float, *, is_loaded: bool = True) -> None:
    """Watch the route for a while; one that leaves `new` less is a false rollback, a drill of the same one is none."""
    from migration import routing

    before, began = routing.route_file().read(), time.monotonic()
    counted = answered_by_new()
    while not (less := _is_less(now := routing.route_file().read(), before)) and time.monotonic() - began < seconds:
        time.sleep(0.1)
    took = time.monotonic() - began
    measured.quiet_seconds += took
    if less:
        measured.false_rollbacks.append(f"{what}: {now.because}")
    elif is_loaded:
        measured.per_second = min(measured.per_second, (answered_by_new() - counted) / took)


def _is_less(now: Routed, before: Routed) -> bool:
    return now.plan.latched or now.plan.percent < before.plan.percent


def one(measured: Measured, stack: Stack, fault: sick.Fault, is_noticed: Noticed) -> float | None:
    """A phase that is well for a while, then a fault, then everything as before. Seconds until it was noticed."""
    from migration import routing

    try:
        begin(measured, "preparation")
        fault.prepare(stack)
        settle(stack)
        begin(measured, fault.phase)
        healthy(measured, fault.words, HEALTHY_SECONDS)
        routed, began = routing.route_file().read(), time.monotonic()
        measured.begun.append((fault.words, time.time()))
        fault.begin(stack)
        try:
            took = wait(lambda: is_noticed(routed.version, routed.plan.percent), began, fault.limit)
        finally:
            measured.begun.append((f"after {fault.words}", time.time()))
            fault.end(stack)
            settle(stack)
    except NotReached as missed:
        measured.missed.append(f"{fault.words}: {missed}")
        return None
    if took is None:
        measured.missed.append(fault.words)
    return took


def other(measured: Measured, stack: Stack, fault: sick.Fault, is_noticed: Noticed) -> None:
    """A fault that is to be answered otherwise than by 0 % within seconds."""
    if (took := one(measured, stack, fault, is_noticed)) is not None:
        measured.others[fault.words] = fault.answer, took


def wait(holds: Callable[[], bool], began: float, limit: float) -> float | None:
    """Seconds from `began` until it holds; None if that takes too long."""
    while not holds():
        if time.monotonic() - began > limit:
            return None
        time.sleep(0.02)
    return time.monotonic() - began


def is_back(version: int, percent: int) -> bool:
    """Whether another route takes traffic from `new`, and every probe obeys it."""
    from migration import routing
    from migration.drivers.envoy import observe

    routed = routing.route_file().read()
    is_less = routed.plan.percent < percent or routed.plan.latched
    return routed.version > version and is_less and observe(routing.proxies(), routed, 1.0).is_observed


def is_out(version: int, percent: int) -> bool:
    """Whether no proxy asks `new` any more, by its health or by the route."""
    from migration import routing

    counted, silent = routing.counters()
    ejected = bool(counted) and not silent and all(each.ejected.get(Side.NEW, 0) > 0 for each in counted.values())
    return ejected or is_back(version, percent)


def is_told(version: int, percent: int) -> bool:
    """Whether an alert about `new` is open. The route stays as it is."""
    from migration.models import Alert

    return Alert.objects.filter(name="new", closed_at=None, sentence__contains="p99").exists()


def begin(measured: Measured, slug: str) -> None:
    """Get into a phase from wherever the last fault left the fleet. Raises `NotReached`.

    `new` is well by now, so a rollback meanwhile is a false one.
    """
    from django.db import connection

    from migration import latching, recording, rolling_back, routing
    from migration.actors import Actor
    from migration.errors import Refused

    connection.close()  # the database may have been killed since
    file, actor, deadline = routing.route_file(), Actor("benchmark"), time.monotonic() + REACH_SECONDS
    while True:
        if latch := file.latched():
            wait(lambda latch=latch: is_recorded(latch.version), time.monotonic(), RECORDED_SECONDS)
            latching.release(actor=actor, reason="the fault is over")
        recording.drain()
        if slug != "preparation":
            try:
                return move(slug)
            except (RuntimeError, Refused) as failed:
                if time.monotonic() > deadline:
                    raise NotReached(str(failed)) from failed
                if "rollback" in str(failed) or file.latched():
                    measured.false_rollbacks.append(f"on the way to {slug}: {failed}")
        elif file.read().plan.phase == "preparation":
            return None
        else:
            try:
                rolling_back.roll_back("preparation", reason="the next fault", actor=actor)
            except Refused as refused:  # the watchdog was there first
                measured.false_rollbacks.append(f"on the way to {slug}: {refused}")


def is_recorded(version: int) -> bool:
    """Whether the rollback that wrote this route is in the database: what is released is what its phase asks for."""
    from migration import recording
    from migration.models import Rollback

    recording.drain()
    return Rollback.objects.filter(route_version=version).exists()


def answered_by_new() -> int:
    """Requests that `new` was asked, as owner and as shadow, over all proxies."""
    requests, _ = errors_of_new()
    return requests


def errors_of_new() -> tuple[int, int]:
    """Requests that `new` was asked and those that failed, over all proxies since they were started."""
    from migration import routing

    totals, _ = routing.read_counters()
    parts = [each[f"new.{role}"] for each in totals.values() for role in ("owner", "shadow")]
    return sum(part["requests"] for part in parts), sum(part["errors"] for part in parts)


def alerted(measured: Measured, stack: Stack) -> None:
    """The baseline: nobody acts, and an alert looks at the last minute now and then."""
    from migration import guarding
    from migration.actors import Actor

    actor, fault = Actor("benchmark"), sick.failing("20 % answer 500, nobody acts", "rollout_50", 0.2)
    alerts = {every: detecting.ByAlert(every, Matrix().emergency_share) for every in detecting.ALERT_EVERY}
    before, second = (0, 0), 0

    def begins(stack: Stack) -> None:
        nonlocal before
        fault.begin(stack)
        before = errors_of_new()

    def fires(version: int, percent: int) -> bool:
        """Looks once a second, so that the alerts are asked after so many seconds of the fault."""
        nonlocal before, second
        time.sleep(1.0)
        now, second = errors_of_new(), second + 1
        for every, alert in alerts.items():
            if alert.look(now[0] - before[0], now[1] - before[1]):
                measured.alert.setdefault(every, second)
        before = now
        return len(measured.alert) == len(alerts)

    guarding.switch(False, actor=actor, reason="what an alert alone would do")
    try:
        one(measured, stack, replace(fault, begin=begins, limit=90.0), fires)
        begin(measured, "preparation")
        looked()  # until then its window holds what nobody was to act on
    except NotReached as missed:
        measured.missed.append(f"what an alert alone would do: {missed}")
    finally:
        guarding.switch(True, actor=actor, reason="the baseline is measured")


def looked() -> None:
    """Wait for a look of the watchdog's that began after this: the second one that is told of."""
    from migration.models import Pulse

    def told() -> datetime | None:
        return Pulse.objects.filter(name="watchdog").values_list("at", flat=True).first()

    for _ in range(2):
        before = told()
        if wait(lambda before=before: told() != before, time.monotonic(), RECORDED_SECONDS) is None:
            raise NotReached("the watchdog tells of no look")


def report(measured: Measured, path: Path | None) -> None:
    """Print the tables and write the JSON."""
    seconds = list(measured.gross.values())
    delays, alarms = detecting.delays(), detecting.false_alarms()
    others = {name: f"{what} in {took:.2f} s" for name, (what, took) in measured.others.items()}
    figures: dict[str, Any] = {
        "faults": len(seconds) + len(others) + len(measured.missed),
        "p50_s": round(reporting.quantile(seconds, 0.5) or 0.0, 2) if seconds else None,
        "p99_s": round(reporting.quantile(seconds, 0.99) or 0.0, 2) if seconds else None,
        "requests_per_s_to_new": round(measured.per_second) if measured.per_second < float("inf") else None,
        "missed": len(measured.missed),
        "false_rollbacks": len(measured.false_rollbacks),
        "quiet_s": round(measured.quiet_seconds, 1),
        "failed_requests": sum(len(one.failures) for one in measured.seen),
        **{f"baseline_alert_every_{every}_s": took for every, took in sorted(measured.alert.items())},
    }
    print(reporting.machine())
    print(reporting.table([("figure", "value"), *figures.items()]))
    print()
    faults = [(name, f"back in {took:.2f} s") for name, took in measured.gross.items()]
    print(reporting.table([("fault", "what happened"), *faults, *others.items()]))
    print()
    print(detecting.delays_table(delays))
    print()
    print(detecting.alarms_table(alarms))
    refused = [(one.what or "before all", one.words) for one in measured.seen if one.failures]
    print(reporting.table([("robots' calls that failed", "what they got"), *refused]))
    for sentence in (*measured.missed, *measured.false_rollbacks):
        print(f"WRONG: {sentence}")
    details = {
        "missed_faults": measured.missed,
        "what_was_false": measured.false_rollbacks,
        "gross_s": {name: round(took, 2) for name, took in measured.gross.items()},
        "others": others,
        "failed_by_fault": {one.what or "before all": one.words for one in measured.seen if one.failures},
    }
    simulated = {"delays": detecting.as_plain(delays), "false_alarms_in_2_h": detecting.as_plain(alarms)}
    reporting.write({**figures, **details, **simulated}, path)


if __name__ == "__main__":
    sys.exit(main())
