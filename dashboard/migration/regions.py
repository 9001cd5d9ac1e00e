"""The regions of the page of the way forward, rendered once for everybody."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import mark_safe

from dashboard.partials import BAR_REGIONS, Screen, context_of, rendered, signatures
from dashboard.pictures import TestPlot, plot_of, ramp_picture
from dashboard.snapshot import Snapshot
from migration import cohort_figures, configuring, evidence_history
from migration.models import PhaseRun
from migration.rules.gates import SLOW_MILLISECONDS

#: the regions of this page beside the bar; `way-ramp` comes from `dashboard/migration/_way_ramp.html`
SHARED = ("latch-words", "shift-words", "next-words", "road", "gates", "votes")
OWN = ("way-ramp", "way-orders", "way-cohorts", "way-shifts", "way-freezes")
VIEW = "migration/way"
#: a minute of the log and hours of samples are not read again for every second's frame
READ_EVERY_SECONDS = 5.0


def screen(snapshot: Snapshot) -> Screen:
    """Render every shared region of this page."""
    run = snapshot.status["phase"]["run"]
    context = {
        **context_of(snapshot),
        "picture": ramp_picture(snapshot.status["way"], snapshot.at),
        "cohorts": _slowly.read("cohorts", None, lambda: cohort_figures.rows(snapshot.at)),
    }
    plots = _slowly.read("plots", run, lambda: _plots(run, snapshot.at))
    for gate in context["gates"]:
        gate["plots"] = plots if gate["name"] == "performance" else []
    html = {region: rendered(region, context) for region in (*BAR_REGIONS, *SHARED)}
    for region in OWN:
        template = f"dashboard/migration/_{region.replace('-', '_')}.html"
        html[region] = mark_safe(render_to_string(template, context).strip())
    data = {"worst": snapshot.status["worst"], "signatures": signatures(snapshot.status)}
    return Screen(at=snapshot.at.isoformat(), html=html, data=data)


def _plots(run_id: int, now: datetime) -> list[TestPlot]:
    """The sequential tests of the gate Performance: errors, and slow answers."""
    run = PhaseRun.objects.filter(pk=run_id).first()
    if run is None or run.phase.number == 0:
        return []
    limits, seen = configuring.settings_for(run.slug), evidence_history.seen(run, now)
    slower = f"slower than {SLOW_MILLISECONDS} ms"
    told = [
        plot_of("Errors", "errors", limits.error_limit_percent / 100, [(one.seconds, one.errors) for one in seen]),
        plot_of(
            f"Answers {slower}",
            f"answers {slower}",
            limits.slow_limit_percent / 100,
            [(one.seconds, one.slow) for one in seen],
        ),
    ]
    return [plot for plot in told if plot]


class _Slowly:
    """What is read at most every few seconds, however many pages are rendered meanwhile."""

    def __init__(self, every_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every, self._clock, self._lock = every_seconds, clock, threading.Lock()
        self._kept: dict[str, tuple[float, Any, Any]] = {}

    def read(self, what: str, of: Any, reader: Callable[[], Any]) -> Any:
        """What was read lately `of` the same, else what `reader` says now. Raises what that raises, and tries again."""
        with self._lock:
            at, kept_of, found = self._kept.get(what, (float("-inf"), None, None))
            if self._clock() - at > self._every or kept_of != of:
                found = reader()
                self._kept[what] = (self._clock(), of, found)
            return found


_slowly = _Slowly(READ_EVERY_SECONDS)
