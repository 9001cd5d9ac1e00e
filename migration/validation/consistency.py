"""The consistency rate as screens, scripts and metrics see it: the latest comparison's, never guessed."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from migration.clock import system_clock
from migration.models import Comparison, Discrepancy
from migration.rules.consistency import CohortConsistency


def latest(comparison: Comparison | None) -> dict[str, Any]:
    """A comparison's rate and that of each cohort; `percent` is None where nothing was compared."""
    found = [CohortConsistency(**cohort) for cohort in comparison.cohorts] if comparison else []
    rows, equal = sum(cohort.rows for cohort in found), sum(cohort.equal for cohort in found)
    return {
        "at": comparison.at if comparison else None,
        "rows": rows,
        "equal": equal,
        "percent": 100.0 * equal / rows if rows else None,
        "explained": comparison.explained if comparison else 0,
        "failure": comparison.failure if comparison else "",
        "cohorts": [
            {"kind": one.kind, "site": one.site, "rows": one.rows, "equal": one.equal, "percent": one.percent}
            for one in found
        ],
    }


def figures() -> Iterator[Metric]:
    """For Prometheus. No rate where the latest comparison failed: no data is not 100 %."""
    comparison = Comparison.objects.first()
    ratio = GaugeMetricFamily(
        "lekiwi_validation_consistency_ratio", "Share of rows equal in both systems", labels=["kind", "site"]
    )
    for cohort in latest(comparison)["cohorts"]:
        ratio.add_metric([cohort["kind"], cohort["site"]], cohort["equal"] / cohort["rows"])
    yield ratio
    open_now = GaugeMetricFamily("lekiwi_validation_discrepancies", "Discrepancies that are open", labels=["state"])
    for state in Discrepancy.OPEN:
        open_now.add_metric([state.value], Discrepancy.objects.filter(state=state).count())
    yield open_now
    if comparison is not None:
        age = (system_clock().now() - comparison.at).total_seconds()
        yield _gauge("lekiwi_validation_comparison_age_seconds", "Age of the latest comparison", age)
        yield _gauge("lekiwi_validation_comparison_seconds", "How long the latest comparison took", comparison.seconds)
        failed = float(bool(comparison.failure))
        yield _gauge("lekiwi_validation_comparison_failed", "Whether the latest comparison failed", failed)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)
