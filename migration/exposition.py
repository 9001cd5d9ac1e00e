"""What Prometheus scrapes at 8001 `/metrics`: the site's own counters and the sums an operator wants.

Figures of the migration come from the database and the route file, so several processes tell one truth.
"""

import urllib.request
from collections.abc import Iterator
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from heartbeat.history import figures as history
from heartbeat.relay import figures as relay
from heartbeat.watching.figures import figures as liveness_figures
from migration import backups, cohort_figures, guarding, rehearsing, routing, traffic
from migration.checklist import reading
from migration.clock import system_clock
from migration.cohort_split import split_by_cohort
from migration.drivers.errors import RouteError
from migration.models import Backup, Pulse, Rehearsal, Restore, Rollback, TrafficSample, TrafficShift
from migration.notifying import figures as notifying
from migration.rules.prechecks import count
from migration.syncing import figures as sync_figures
from migration.validation.consistency import figures as consistency_figures
from teleop.figures import figures as teleop_figures

log = structlog.get_logger(__name__)

WINDOW = timedelta(seconds=10)
#: names of what is counted in the ingest's process alone
_INGESTS = ("lekiwi_heartbeat_", "lekiwi_teleop_")
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def metrics(request: HttpRequest) -> HttpResponse:
    """Answer this process's registry, the migration's figures, and the ingest's heartbeat counters."""
    told = CollectorRegistry()
    told.register(_Own())
    told.register(_Figures())
    return HttpResponse(generate_latest(told), content_type=_TEXT)


class _Own:
    """This process's registry without what only the ingest counts.

    The modules that count it are loaded here, too: their zeros, told first, are what Prometheus would keep.
    """

    def collect(self) -> Iterator[Metric]:
        yield from (family for family in REGISTRY.collect() if not family.name.startswith(_INGESTS))


class _Figures:
    """Collects when it is scraped; nothing is kept between two scrapes."""

    def collect(self) -> Iterator[Metric]:
        yield from _split()
        yield from _moves()
        yield from _systems()
        yield from cohort_figures.families(system_clock().now())
        yield from _guards()
        yield from consistency_figures()
        yield from _way_back()
        yield from _backups()
        yield _checks()
        yield from notifying.collect(system_clock().now())
        yield from liveness_figures(system_clock().now())
        yield from relay.families()
        yield from teleop_figures(system_clock().now())
        yield from sync_figures.families()
        yield from _history()
        yield from _heartbeats()


def _split() -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "lekiwi_migration_split_percent",
        "Share of robots on new: asked by the route, observed in traffic",
        labels=["mark"],
    )
    try:
        family.add_metric(["asked"], routing.route_file().read().plan.percent)
    except RouteError as error:
        log.warning("metrics.no_route", error=str(error))
    flow = traffic.latest_window(system_clock().now(), WINDOW)
    if flow and flow.new_percent is not None:
        family.add_metric(["observed"], flow.new_percent)
    yield family


def _moves() -> Iterator[Metric]:
    shifts = CounterMetricFamily("lekiwi_migration_shifts", "Traffic shifts by state", labels=["state"])
    for row in TrafficShift.objects.order_by().values("state").annotate(count=Count("id")):
        shifts.add_metric([row["state"]], row["count"])
    yield shifts
    rollbacks = CounterMetricFamily(
        "lekiwi_migration_rollbacks",
        "Rollbacks by who decided and how far they were confirmed",
        labels=["trigger", "state"],
    )
    for row in Rollback.objects.order_by().values("trigger", "state").annotate(count=Count("id")):
        rollbacks.add_metric([row["trigger"], row["state"]], row["count"])
    yield rollbacks


def _systems() -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "lekiwi_system_requests", "Robots' calls by system and role", labels=["system", "role"]
    )
    errors = CounterMetricFamily(
        "lekiwi_system_errors", "Calls that a system failed itself, failover or not", labels=["system", "role"]
    )
    primaries = CounterMetricFamily("lekiwi_mirror_primaries", "Calls that had to be copied", labels=["direction"])
    lost = CounterMetricFamily("lekiwi_mirror_lost", "Copies that the other system did not take", labels=["direction"])
    sample = TrafficSample.objects.order_by("-at").first()
    if sample:
        for part in traffic.PARTS:
            system, role = part.split(".")
            requests.add_metric([system, role], sample.totals[part]["requests"])
            errors.add_metric([system, role], sample.totals[part]["errors"])
        for direction in ("to_new", "to_legacy"):
            sent = sample.totals[f"mirror.{direction}.primaries"]
            primaries.add_metric([direction], sent)
            lost.add_metric([direction], max(0, sent - sample.totals[f"mirror.{direction}.copies"]))
    yield from (requests, errors, primaries, lost)
    p99 = GaugeMetricFamily("lekiwi_system_latency_p99_seconds", "p99 of the latest 10 s", labels=["system"])
    share = GaugeMetricFamily("lekiwi_system_error_ratio", "Error share of the latest 10 s", labels=["system"])
    flow = traffic.latest_window(system_clock().now(), WINDOW)
    for system in ("new", "legacy"):
        window = flow.window(system) if flow else None
        if window and window.requests:
            share.add_metric([system], window.error_share)
        if window and window.p99_milliseconds is not None:
            p99.add_metric([system], window.p99_milliseconds / 1000)
    yield from (p99, share)


def _guards() -> Iterator[Metric]:
    age = GaugeMetricFamily("lekiwi_guard_age_seconds", "Time since a guard's latest progress", labels=["guard"])
    now = system_clock().now()
    for pulse in Pulse.objects.all():
        age.add_metric([pulse.name], (now - pulse.at).total_seconds())
    yield age


def _way_back() -> Iterator[Metric]:
    """Whether the automation may act, how old the proof of the way back is, and the split in each cohort."""
    automation = GaugeMetricFamily("lekiwi_migration_automation_on", "Whether automatic rollbacks may act")
    automation.add_metric([], int(guarding.in_force().is_on))
    proof, age = (
        rehearsing.proof(),
        GaugeMetricFamily("lekiwi_migration_way_back_proof_age_seconds", "Time since the way back was proven"),
    )
    if proof.age_seconds is not None:
        age.add_metric([], proof.age_seconds)
    rehearsals = CounterMetricFamily("lekiwi_migration_rehearsals", "Rehearsals by state", labels=["state"])
    for row in Rehearsal.objects.order_by().values("state").annotate(count=Count("id")):
        rehearsals.add_metric([row["state"]], row["count"])
    restores = CounterMetricFamily("lekiwi_migration_restores", "Restores by state", labels=["state"])
    for row in Restore.objects.order_by().values("state").annotate(count=Count("id")):
        restores.add_metric([row["state"]], row["count"])
    cohorts = GaugeMetricFamily(
        "lekiwi_migration_cohort_split_percent", "Robots heard lately that new owns", labels=["cohort"]
    )
    for each in split_by_cohort(system_clock().now()):
        cohorts.add_metric([each["cohort"]], each["observed_percent"])
    yield from (automation, age, rehearsals, restores, cohorts)


def _backups() -> Iterator[Metric]:
    made = CounterMetricFamily(
        "lekiwi_migration_backups", "Backups by what was copied and what became of it", labels=["kind", "state"]
    )
    for row in Backup.objects.order_by().values("kind", "state").annotate(count=Count("id")):
        made.add_metric([row["kind"], row["state"]], row["count"])
    yield made
    age = GaugeMetricFamily(
        "lekiwi_migration_backup_age_seconds", "Age of the newest backup that was restored and compared"
    )
    if latest := backups.latest_verified():
        age.add_metric([], (system_clock().now() - latest.begun_at).total_seconds())
    yield age


def _checks() -> Metric:
    points = GaugeMetricFamily(
        "lekiwi_migration_check_points", "Points of the checklist by what they say now", labels=["verdict"]
    )
    counted = count([point.judgement for point in reading.points(system_clock().now())])
    for verdict, number in counted.items():
        points.add_metric([verdict], number)
    return points


def _history() -> Iterator[Metric]:
    connection.ensure_connection()
    yield from history.collect(connection.connection, system_clock().now())


def _heartbeats() -> Iterator[Metric]:
    """The ingest counts heartbeats in its own process; what it says is passed on, and whether it could be asked."""
    up = GaugeMetricFamily("lekiwi_ingest_up", "Whether the ingest's own metrics could be read")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.INGEST_PORT}/metrics", timeout=1.0) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
    except (OSError, ValueError) as error:
        log.warning("metrics.no_ingest", error=str(error))
        up.add_metric([], 0)
        yield up
        return
    up.add_metric([], 1)
    yield up
    for family in families:
        if family.name.startswith(_INGESTS):
            yield family
