"""Figures of each system by cohort, from the doors' own statistics: for Prometheus, and for the page."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from migration import traffic
from migration.cohort_hearing import CohortHeard, heard_by_cohort
from migration.models import TrafficSample
from migration.rules.cohort_errors import CohortServed, between, by_kind_and_site

#: a cohort has a part of the fleet's requests: it takes longer than a system to say anything
WINDOW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class CohortRow:
    """A kind or a site: what `new` heard of it by its own log, and what the doors counted; None where nothing."""

    cohort: str
    heard: CohortHeard | None = None
    new: CohortServed | None = None
    legacy: CohortServed | None = None


def rows(now: datetime) -> list[CohortRow]:
    """Every kind and every site in the latest minute."""
    heard = {each.cohort: each for each in heard_by_cohort(now)}
    served = {(each.system, each.cohort): each for each in served_lately(now)}
    names = [*heard, *sorted({cohort for _, cohort in served} - set(heard))]
    return [CohortRow(name, heard.get(name), served.get(("new", name)), served.get(("legacy", name))) for name in names]


def served_lately(now: datetime) -> list[CohortServed]:
    """What each system did for each kind and each site in the latest minute; empty without fresh samples."""
    flow = traffic.latest_window(now, WINDOW)
    return by_kind_and_site(flow.cohorts) if flow else []


def families(now: datetime) -> Iterator[Metric]:
    """Requests, errors and calls passed over since the first sample; error share and p99 of the latest minute.

    A robot is counted in its kind and in its site. A share or a p99 of too few requests is not told.
    """
    labels = ["system", "cohort"]
    requests = CounterMetricFamily(
        "lekiwi_cohort_requests", "Calls of its own robots that a system took", labels=labels
    )
    errors = CounterMetricFamily("lekiwi_cohort_errors", "Calls of its own robots that a system failed", labels=labels)
    passed = CounterMetricFamily(
        "lekiwi_cohort_passed_over",
        "Calls of its own robots that a system was not asked: out of rotation",
        labels=labels,
    )
    latest = TrafficSample.objects.order_by("-at").first()
    for each in by_kind_and_site(between({}, latest.totals.get("cohorts", {}))) if latest else []:
        place = [each.system, each.cohort]
        requests.add_metric(place, each.requests)
        errors.add_metric(place, each.errors)
        passed.add_metric(place, each.passed_over)
    yield from (requests, errors, passed)
    share = GaugeMetricFamily("lekiwi_cohort_error_ratio", "Error share of the latest minute", labels=labels)
    p99 = GaugeMetricFamily("lekiwi_cohort_latency_p99_seconds", "p99 of the latest minute", labels=labels)
    for each in served_lately(now):
        place = [each.system, each.cohort]
        if each.error_share is not None:
            share.add_metric(place, each.error_share)
        if each.p99_milliseconds is not None:
            p99.add_metric(place, each.p99_milliseconds / 1000)
    yield from (share, p99)
