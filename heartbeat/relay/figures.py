"""The relay's figures for `/metrics`, from its row: any process tells the same truth."""

from collections.abc import Iterator

from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from heartbeat.models import RelayState
from heartbeat.rules.relaying import Outcome


def families() -> Iterator[Metric]:
    """Counters and gauges; none before the first relay ran."""
    state = RelayState.objects.first()
    if state is None:
        return
    yield CounterMetricFamily(
        "lekiwi_relay_accepted", "v2 heartbeats that new accepted, up to the relay's cursor", value=state.accepted
    )
    outcomes = CounterMetricFamily(
        "lekiwi_relay_heartbeats", "What became of accepted v2 heartbeats on their way to legacy", labels=["outcome"]
    )
    for outcome in Outcome:
        outcomes.add_metric([outcome.value], getattr(state, outcome.value))
    yield outcomes
    gauges = {
        "lekiwi_relay_lag_seconds": ("Age of the oldest accepted heartbeat that is not done", state.lag_seconds),
        "lekiwi_relay_waiting": ("Heartbeats that were read and are not done", state.waiting),
        "lekiwi_relay_age_seconds": ("Time since the relay's latest progress", _age(state)),
        "lekiwi_relay_legacy_up": ("Whether legacy takes what it is told", float(state.legacy_silent_since is None)),
    }
    for name, (what, value) in gauges.items():
        yield GaugeMetricFamily(name, what, value=value)


def _age(state: RelayState) -> float:
    return (timezone.now() - state.updated_at).total_seconds()
