"""A real Prometheus and Alertmanager, end to end: `python -m benchmarks.alertmanager [--json FILE] [--record DIR]`.

Needs both programs and their tools (Debian: prometheus, prometheus-alertmanager); says so where they are missing.
The shipped files are checked by promtool and amtool; then a whole system runs with them, under a fleet of robots:
the pipeline's proof, targets that are down, the second line behind the watchdog, the watchdog first, a wrong secret,
the checklist, and each of the two programs dead.
`--record` writes what Alertmanager sent as files, of which tests/migration/alertmanager/ holds some.
"""

import json
import logging
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import reporting, sick
from benchmarks.alertmanager_world import World, check_files, recording, wait_for
from benchmarks.rollback import reach
from benchmarks.shift import Robots, settle
from embedded.errors import StartError
from embedded.monitoring import program
from embedded.stack import fleet, running

ROBOTS = 60
PROOF = "Watchdog"
#: how long the proof's rhythm is watched
PROOF_SECONDS = 75.0
#: what the documents promise of a proof (migration.alerts.pipeline)
PROVEN_SECONDS = 60.0
ALERT_SECONDS = 90.0
#: after this an alert of a healthy system is over: counters' range, groups' interval
OVER_SECONDS = 120.0
WATCHDOGS = ("watchdog", "watchdog-standby")


@dataclass(slots=True)
class Measured:
    """What the run found: rows of the table, and what was wrong."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    figures: dict[str, float | int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def took(self, key: str, what: str, seconds: float) -> None:
        """A time."""
        self.figures[key] = round(seconds, 2)
        self.rows.append((what, f"{seconds:.1f} s"))

    def has_to(self, holds: bool, sentence: str) -> None:
        """A claim."""
        self.rows.append((sentence, "holds" if holds else "WRONG"))
        if not holds:
            self.wrong.append(sentence)


def main() -> int:
    """Run it, print the table, write the JSON. 1 if a claim does not hold, 2 if the programs are not installed."""
    parser = reporting.arguments(__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--record", type=Path, metavar="DIR", help="write the messages to DIR")
    asked = parser.parse_args()
    try:
        for name in ("prometheus", "alertmanager", "promtool", "amtool"):
            program(name)
    except StartError as error:
        print(f"alertmanager: {error}", file=sys.stderr)
        return 2
    measured = Measured(rows=check_files())
    measured.wrong = [name for name, said in measured.rows if said != "holds"]
    with (
        recording() as recorder,
        running(with_monitoring=True, environment={"NOTIFY_ALERTS_WEBHOOK": recorder.chat}) as stack,
    ):
        stack.use_from_here()
        from migration.errors import Refused

        logging.disable(logging.CRITICAL)
        world, ledger = World(stack, recorder), stack.state / "benchmark-ledger"
        world.record_too()
        with fleet(stack.url("ROBOTS_DOOR_PORT"), ROBOTS, ledger) as process:
            Robots(ledger, process).wait_for(2 * ROBOTS)
            for part in PARTS:
                try:
                    part(measured, world)
                except (TimeoutError, RuntimeError, Refused) as error:
                    measured.has_to(False, f"{part.__name__}: {error}")
    if asked.record:
        record(asked.record, recorder.messages)
    print(reporting.machine())
    print(reporting.table([("what", "found"), *measured.rows]))
    reporting.write({**measured.figures, "wrong": measured.wrong}, asked.json)
    return 1 if measured.wrong else 0


def proof(measured: Measured, world: World) -> None:
    """The always-firing alert arrives, and often enough."""
    from migration.alerts import pipeline
    from migration.clock import system_clock

    def age() -> float | None:
        return pipeline.age_seconds(system_clock().now())

    began = time.monotonic()
    wait_for("the pipeline's proof", lambda: age() is not None, PROVEN_SECONDS)
    oldest = 0.0
    while time.monotonic() - began < PROOF_SECONDS:
        oldest = max(oldest, age() or 0.0)
        time.sleep(0.2)
    gaps = [later - earlier for earlier, later in pairwise(world.recorder.moments(PROOF))]
    measured.took("proof_oldest_s", f"the proof's age, at most, in {PROOF_SECONDS:.0f} s", oldest)
    measured.took("proof_gap_s", "between two proofs, at most", max(gaps, default=float("inf")))
    measured.has_to(oldest < PROVEN_SECONDS / 2, "one proof may be lost without the pipeline being in doubt")


def target_down(measured: Measured, world: World) -> None:
    """Two targets end: one message, two alerts, told until they are over."""
    from migration.models import Alert

    def is_open() -> list[Alert]:
        return list(Alert.objects.filter(name__startswith="TargetDown ", closed_at=None))

    began = time.monotonic()
    world.stack.control.kill("live")
    wait_for("an alert of ours", lambda: len(is_open()) == 1, ALERT_SECONDS)
    measured.took(
        "target_down_s", "a process killed → an open alert here (15 s of it the rule's `for`)", time.monotonic() - began
    )
    at, message = wait_for("the message", lambda: world.recorder.first("TargetDown", "firing", began), 5.0)
    words = str(message["commonAnnotations"]["summary"])
    told = wait_for("a message to people", lambda: world.recorder.told_people(words, began), 30.0)
    measured.took("told_s", "→ people are told in their channel", told - began)
    measured.has_to(is_open()[0].severity == "critical", "it is critical, as its rule says")
    measured.has_to(is_open()[0].group == message["groupKey"], "it belongs to Alertmanager's group")
    first = is_open()[0].pk
    world.stack.control.kill("ingest")
    wait_for("a second one of the group", lambda: len(is_open()) == 2, ALERT_SECONDS)
    both = [said for when, said in world.recorder.messages if when > at and _name(said) == "TargetDown"][-1]
    firing = [one for one in both["alerts"] if one["status"] == "firing"]
    measured.has_to(len(firing) == 2, "the second comes in one message with the first, which is repeated")
    measured.has_to(first in {one.pk for one in is_open()}, "the repeated one is the same alert")
    began = time.monotonic()
    for name in ("ingest", "live"):
        world.stack.control.start(name)
    settle(world.stack)
    wait_for("their end", lambda: not is_open(), OVER_SECONDS)
    measured.took("resolved_s", "the processes run again → both alerts over", time.monotonic() - began)
    measured.has_to(
        Alert.objects.filter(name__startswith="TargetDown ").count() == 2, "two alerts in all, however often told"
    )


def second_line(measured: Measured, world: World) -> None:
    """No watchdog runs, and `new` fails: the alert takes traffic back, once."""
    from migration import routing
    from migration.models import Alert, Rollback

    fault = _enter("rollout_50", world, 0.1)
    for name in WATCHDOGS:
        world.stack.control.stop(name)
    before, began = Rollback.objects.count(), time.monotonic()
    try:
        fault.begin(world.stack)
        wait_for("NewFails", lambda: world.is_firing("NewFails"), ALERT_SECONDS)
        measured.took(
            "fires_s", "10 % errors, no watchdog → the rule fires (20 s range, 10 s `for`)", time.monotonic() - began
        )
        at, _ = wait_for("its message", lambda: world.recorder.first("NewFails", "firing", began), ALERT_SECONDS)
        measured.took("webhook_s", "→ the message", at - began)
        wait_for("the rollback", lambda: routing.route_file().read().plan.percent == 25, 10.0)
        measured.took("rolled_back_s", "→ traffic is back at 25 %", time.monotonic() - began)
        times = len(world.recorder.moments("NewFails", began))
        wait_for("a repetition", lambda: len(world.recorder.moments("NewFails", began)) > times, ALERT_SECONDS)
        measured.has_to(routing.route_file().read().plan.percent == 25, "repeated, it moves nothing further")
        alert = Alert.objects.filter(name__startswith="NewFails ").latest("opened_at")
        measured.has_to(alert.outcome.startswith("rolled back 50 → 25 %"), f"the alert says so: {alert.outcome}")
    finally:
        _mend(fault, world)
        for name in WATCHDOGS:  # not before: they would act on what is left of the fault
            world.stack.control.start(name)
    _until_calm()
    measured.has_to(Rollback.objects.filter(actor="alertmanager").count() == 1, "one rollback by Alertmanager")
    measured.figures["rollbacks"] = Rollback.objects.count() - before


def watchdog_first(measured: Measured, world: World) -> None:
    """The watchdog takes traffic back at once; the alert of the same fault, which fires later, must not do it again."""
    from migration import routing
    from migration.models import Alert, Rollback

    fault = _enter("rollout_50", world, 1.0)
    began = time.monotonic()
    fault.begin(world.stack)
    wait_for("the watchdog", lambda: routing.route_file().read().plan.percent < 50, 10.0)
    percent, took = routing.route_file().read().plan.percent, time.monotonic() - began
    measured.took("watchdog_s", f"500 to everything, with the watchdog → traffic is at {percent} %", took)
    wait_for("its message", lambda: world.recorder.first("NewFails", "firing", began), ALERT_SECONDS)
    alert = wait_for(
        "the alert", lambda: Alert.objects.filter(name__startswith="NewFails ", closed_at=None).first(), 10.0
    )
    measured.has_to(alert.outcome.startswith("no rollback: traffic went back"), f"the alert: {alert.outcome}")
    by_alert = Rollback.objects.filter(actor="alertmanager").count()
    measured.has_to(by_alert == 1, "no second rollback for the same fault")
    _mend(fault, world)
    _until_calm()


def wrong_secret(measured: Measured, world: World) -> None:
    """A message with another secret is refused, and counts for nothing."""
    from migration.alerts import pipeline
    from migration.clock import system_clock

    refused = world.refused()
    with world.wrong_secret():
        wait_for("a refusal", lambda: world.refused() > refused, PROVEN_SECONDS)
        age = pipeline.age_seconds(system_clock().now()) or 0.0
        moment = world.recorder.moments(PROOF)[-1]
        measured.has_to(age > time.monotonic() - moment - 1.0, "with a wrong secret nothing is taken")
    began = time.monotonic()
    wait_for("the next proof", lambda: (pipeline.age_seconds(system_clock().now()) or 99.0) < 2.0, PROVEN_SECONDS)
    measured.took("proven_again_s", "the right secret again → proven again", time.monotonic() - began)


def checklist(measured: Measured, world: World) -> None:
    """The points of the checklist that ask both programs."""
    from migration.actors import Actor
    from migration.checklist import running as checks

    for result in checks.run(["dashboards", "alert-route"], actor=Actor("benchmark")):
        measured.has_to(result.verdict == "pass", f"{result.name}: {result.sentence}")


def prometheus_dead(measured: Measured, world: World) -> None:
    """Alertmanager goes on repeating what a dead Prometheus said last: that must not prove anything for long."""
    from migration.alerts import pipeline
    from migration.clock import system_clock

    wait_for("a proof", lambda: pipeline.word(system_clock().now()) == "proven", PROVEN_SECONDS)
    for name, limit in (("prometheus", 1.5 * PROVEN_SECONDS), ("alertmanager", 1.5 * PROVEN_SECONDS)):
        began = time.monotonic()
        world.stack.control.kill(name)
        wait_for("doubt", lambda: pipeline.word(system_clock().now()) != "proven", limit)
        measured.took(f"{name}_dead_s", f"{name} killed → the pipeline is in doubt", time.monotonic() - began)
        began = time.monotonic()
        world.stack.control.start(name)
        wait_for("a proof", lambda: pipeline.word(system_clock().now()) == "proven", PROVEN_SECONDS)
        measured.took(f"{name}_back_s", f"{name} runs again → proven", time.monotonic() - began)


PARTS = (proof, target_down, second_line, watchdog_first, wrong_secret, checklist, prometheus_dead)


def _enter(slug: str, world: World, share: float) -> sick.Fault:
    """A stand-in that is well, in ingest's place, and the phase."""
    from migration import rolling_back, routing
    from migration.actors import Actor

    fault = sick.failing(f"{share:.0%} answer 500", slug, share)
    if routing.route_file().read().plan.phase != "preparation":  # else the change itself is a fault of `new`
        rolling_back.roll_back("preparation", reason="the next fault", actor=Actor("benchmark"))
    fault.prepare(world.stack)
    settle(world.stack)
    reach(slug)
    return fault


def _mend(fault: sick.Fault, world: World) -> None:
    """The real ingest again, and no latch."""
    from migration import latching, recording, routing
    from migration.actors import Actor

    fault.end(world.stack)
    settle(world.stack)
    recording.drain()
    if routing.route_file().latched():
        latching.release(actor=Actor("benchmark"), reason="the fault is over")


def _until_calm() -> None:
    """No alert of Prometheus is open any more."""
    from migration.models import Alert

    def is_calm() -> bool:
        return not Alert.objects.filter(source="alertmanager", closed_at=None).exists()

    wait_for("the alerts' end", is_calm, OVER_SECONDS)


def _name(message: dict[str, Any]) -> str:
    return str(message["commonLabels"].get("alertname", ""))


def record(directory: Path, messages: list[tuple[float, dict[str, Any]]]) -> None:
    """Write the first message of each kind, as it came, under what it tells."""
    directory.mkdir(parents=True, exist_ok=True)
    for _, message in messages:
        statuses = [one["status"] for one in message["alerts"]]
        kind = f"{_name(message)}-{'-'.join(statuses)}"
        path = directory / f"{kind}.json"
        if not path.exists():
            path.write_text(json.dumps(message, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
