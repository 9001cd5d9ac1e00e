"""Figures of alerts and messages for `/metrics`, from the database, so that several processes tell one truth."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, Min
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from migration.models import Alert, Delivery


def collect(now: datetime) -> Iterator[Metric]:
    """Open alerts, deliveries by state, and how old the oldest that waits is."""
    alerts = GaugeMetricFamily(
        "lekiwi_migration_alerts_open",
        "Open alerts, and whether somebody has them",
        labels=["severity", "has"],
    )
    opened = Alert.objects.filter(closed_at=None).order_by()
    for severity in Alert.Severity.values:
        for has, nobody in (("nobody", True), ("somebody", False)):
            count = opened.filter(severity=severity, acknowledged_at__isnull=nobody).count()
            alerts.add_metric([severity, has], count)
    yield alerts
    deliveries = GaugeMetricFamily("lekiwi_migration_deliveries", "Messages to people by state", labels=["state"])
    for row in Delivery.objects.order_by().values("state").annotate(count=Count("id")):
        deliveries.add_metric([row["state"]], row["count"])
    yield deliveries
    oldest = Delivery.objects.filter(state=Delivery.State.WAITING).aggregate(at=Min("created_at"))["at"]
    waits = (now - oldest).total_seconds() if oldest else 0.0
    yield GaugeMetricFamily("lekiwi_migration_delivery_wait_seconds", "Age of the oldest waiting message", value=waits)
