"""Sync's figures for `/metrics`, from its rows: any process tells the same truth."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from migration.models import QuarantinedRow, SyncState
from migration.syncing.lag import lags
from migration.syncing.way_back import way_back


def families() -> Iterator[Metric]:
    """Counters and gauges; none before the first look."""
    state = SyncState.objects.first()
    if state is None:
        return
    behind = lags()
    lag = GaugeMetricFamily(
        "lekiwi_sync_lag_seconds", "Age of the oldest change that one system has and the other lacks", labels=["way"]
    )
    for way, seconds in (("forward", behind.forward_seconds), ("reverse", behind.reverse_seconds)):
        if seconds is not None:
            lag.add_metric([way], seconds)
    yield lag
    rows = CounterMetricFamily("lekiwi_sync_rows", "What became of rows that sync looked at", labels=["outcome"])
    for outcome in ("taken_over", "echoes", "kept", "replayed", "not_replayed"):
        rows.add_metric([outcome], getattr(state, outcome))
    yield rows
    yield CounterMetricFamily("lekiwi_sync_calls", "Calls that sync made to legacy", value=state.calls)
    gauges = {
        "lekiwi_sync_quarantined_rows": (
            "Rows of legacy's that wait because they cannot be taken over",
            QuarantinedRow.objects.filter(settled_at=None).count(),
        ),
        "lekiwi_sync_absent_robots": ("Silent robots that legacy does not have", state.absent_count),
        "lekiwi_sync_legacy_up": ("Whether legacy answers sync", float(state.legacy_silent_since is None)),
        "lekiwi_sync_way_back_whole": ("Whether the fleet could go back to legacy now", float(way_back().whole)),
        "lekiwi_sync_throttled": ("Whether something holds sync back", float(bool(state.throttled_by))),
    }
    for name, (what, value) in gauges.items():
        yield GaugeMetricFamily(name, what, value=value)
