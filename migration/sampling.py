"""The watchdog's recorder: stores samples, judges the gates, keeps alerts. In a thread of its own, best effort."""

import queue
import threading
from datetime import datetime, timedelta

import structlog
from django.db import Error as DatabaseError
from django.db import connections
from django.db.models.functions import Mod

from migration import advancing, alerting, guarding, judging, pulses, rebinding, recording, traffic
from migration.clock import system_clock
from migration.load import LoadMeter
from migration.models import Alert, Pulse, TrafficSample
from migration.rules.watching import Action, Decision, Finding, Guarding, Mode
from migration.watchdog import Look, as_detail

log = structlog.get_logger(__name__)

#: every sample for an hour, one in sixty for two weeks: a gate needs the one where its phase began, to the minute
KEPT_WHOLE = timedelta(hours=1)
KEPT = timedelta(days=14)
_ONE_IN = 60
_PRUNE_EVERY = 600
#: what a check of the state found is believed for this long; who checks it is a worker, which may be gone
CHECK_LIVES = timedelta(minutes=2)
#: it is checked every 15 s: three that did not come are said
UNCHECKED_AFTER = timedelta(seconds=50)


class Recorder:
    """Takes looks from the watchdog; only the newest waits while the database is slow."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Look] = queue.Queue(maxsize=1)
        self._meter = LoadMeter()
        self._stored = 0
        self._corruption = ""
        self._began = system_clock().now()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Start recording."""
        self._thread.start()

    def corruption(self) -> str:
        """Why the stored state is not to be trusted, as far as the database could be asked; empty if nothing is."""
        return self._corruption

    def tell(self, look: Look) -> None:
        """Hand over a look without ever waiting; an older one that was not stored yet gives way.

        Raises `RuntimeError` if the recorder died, so that the process ends and is started again.
        """
        if not self._thread.is_alive():
            raise RuntimeError("the recorder died, see the traceback above")
        while True:
            try:
                self._waiting.put_nowait(look)
                return
            except queue.Full:
                try:
                    self._waiting.get_nowait()
                except queue.Empty:
                    continue

    def _run(self) -> None:
        while True:
            look = self._waiting.get()
            try:
                self.store(look)
            except DatabaseError as error:
                log.warning("recorder.database", error=str(error))
                connections.close_all()

    def store(self, look: Look) -> None:
        """Store one look: spooled rollbacks first, then the sample, alerts, the pulse, and the gates."""
        clock = system_clock()
        now = clock.now()
        recording.drain()
        last = TrafficSample.objects.order_by("-at").first()
        totals = traffic.advance(last.totals if last else traffic.nothing(), last.raw if last else None, look.counters)
        # A proxy that does not answer keeps its last known counters, so nothing is counted twice when it is back.
        raw = {**(last.raw if last else {}), **look.counters}
        TrafficSample.objects.create(at=now, totals=totals, raw=raw)
        self._alerts(look)
        _keep_findings(look.decision, look.guarding, now)
        check = Pulse.objects.filter(name="state_check").first()
        self._say_unchecked(check, now)
        self._corruption = _found_corrupt(check, now)
        pulses.beat("watchdog", as_detail(look, self._meter.measure()))
        run = rebinding.rebind(advancing.active_run(), now)
        judging.keep(run, judging.judge(run, clock), now)
        self._stored += 1
        if self._stored % _PRUNE_EVERY == 0:
            prune(now)

    def _alerts(self, look: Look) -> None:
        now = system_clock().now()
        decision = look.decision
        if decision.action is Action.NOTHING:
            alerting.is_over("new", at=now)
        else:
            severity = Alert.Severity.WARNING if decision.action is Action.ALERT else Alert.Severity.CRITICAL
            alerting.tell("new", decision.sentence, severity=severity, at=now)
        would = {each.rule: f"only observed: {each.sentence}; would {each.action}" for each in decision.observed}
        alerting.tell_only("observed ", would, severity=Alert.Severity.WARNING, at=now)
        off = {} if look.guarding.is_on else {"off": f"automatic rollbacks are switched off by {look.guarding.because}"}
        alerting.tell_only("automation ", off, severity=Alert.Severity.CRITICAL, at=now)
        silent = {name: f"{name} does not answer the watchdog" for name in look.silent}
        alerting.tell_only("silent ", silent, severity=Alert.Severity.CRITICAL, at=now)

    def _say_unchecked(self, check: Pulse | None, now: datetime) -> None:
        """Without a check nothing is found, so that none is made must be said."""
        last = max(check.at, self._began) if check else self._began
        missing = {}
        if now - last > UNCHECKED_AFTER:
            missing["state"] = (
                f"the state has not been checked since {last:%H:%M:%S} UTC: corrupted data would move nothing"
            )
        alerting.tell_only("unchecked ", missing, severity=Alert.Severity.WARNING, at=now)


def _keep_findings(decision: Decision, allowed: Guarding, now: datetime) -> None:
    """Keep what rules found: one row for each stretch of time in which a rule applied."""
    found = [(finding, Mode.OBSERVE) for finding in decision.observed]
    if decision.action is not Action.NOTHING:
        acted = Finding(decision.rule, decision.action, decision.sentence)
        found.append((acted, allowed.mode_of(decision.rule)))
    for finding, mode in found:
        guarding.keep_finding(finding, mode, now)


def _found_corrupt(check: Pulse | None, now: datetime) -> str:
    return str(check.detail.get("corruption", "")) if check and now - check.at <= CHECK_LIVES else ""


def prune(now: datetime) -> None:
    """Thin samples out as they age: at one a second they would fill half a gigabyte a day."""
    TrafficSample.objects.filter(at__lt=now - KEPT).delete()
    ageing = TrafficSample.objects.filter(at__lt=now - KEPT_WHOLE).annotate(place=Mod("id", _ONE_IN))
    TrafficSample.objects.filter(pk__in=ageing.exclude(place=0).values("pk")).delete()
