"""What Prometheus learns of operation, from the database: several processes tell one truth."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Count, F, Max
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from teleop.current import summary
from teleop.models import Session, SessionEvent, StopRequest
from teleop.rules.standing import Step

LAG_WINDOW = timedelta(minutes=5)


def figures(now: datetime) -> Iterator[Metric]:
    """Sessions that are open, robots by state, detection latency, disagreements with legacy, requests to stop."""
    told = summary(now)
    active = GaugeMetricFamily("lekiwi_teleop_active_sessions", "Sessions that are open", labels=["driver"])
    for driver in Session.DriverKind.values:
        active.add_metric([driver], told.by_driver.get(driver, 0))
    yield active
    robots = GaugeMetricFamily("lekiwi_teleop_robots", "Robots by state of operation", labels=["state"])
    for state, count in told.by_state.items():
        robots.add_metric([state], count)
    yield robots
    for name, what, value in (
        ("disagreements", "Robots of which legacy concludes something else", told.disagreements),
        ("contested_sessions", "Sessions in which two operators command at once", told.contested),
        ("alerted_sessions", "Sessions with high latency, few frames, loss, or no commands", told.alerts),
    ):
        yield GaugeMetricFamily(f"lekiwi_teleop_{name}", what, value=value)
    if told.watcher_age_seconds is not None:
        what = "Time since the watcher's latest progress"
        yield GaugeMetricFamily("lekiwi_teleop_watcher_age_seconds", what, value=told.watcher_age_seconds)
    ended = CounterMetricFamily("lekiwi_teleop_sessions", "Sessions that ended, by why", labels=["ending"])
    for row in Session.objects.filter(state="ended").order_by().values("ending").annotate(count=Count("pk")):
        ended.add_metric([row["ending"]], row["count"])
    yield ended
    lag = GaugeMetricFamily(
        "lekiwi_teleop_detection_latency_seconds", "Longest time from true to known in 5 minutes", labels=["step"]
    )
    steps = [step.value for step in (Step.BEGAN, Step.LOST, Step.ENDED)]
    recent = SessionEvent.objects.filter(known_at__gt=now - LAG_WINDOW, step__in=steps).order_by()
    for row in recent.values("step").annotate(longest=Max(F("known_at") - F("at"))):
        lag.add_metric([row["step"]], row["longest"].total_seconds())
    yield lag
    stops = CounterMetricFamily("lekiwi_teleop_stop_requests", "Requests to stop, by state", labels=["state"])
    for row in StopRequest.objects.order_by().values("state").annotate(count=Count("pk")):
        stops.add_metric([row["state"]], row["count"])
    yield stops
