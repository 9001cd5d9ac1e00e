"""What Prometheus learns of liveness, from the database: several processes tell one truth."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Count, F, Max, Sum
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from heartbeat.fleet import fleet_summary
from heartbeat.models import Deafness, Hearing, Incident, Lease, LivenessEvent, Notice, RobotLiveness

LAG_WINDOW = timedelta(minutes=5)


def figures(now: datetime) -> Iterator[Metric]:
    """Robots by state, events, how late they were noticed, open incidents, notices, deafness, who watches."""
    robots = GaugeMetricFamily("lekiwi_heartbeat_robots", "Robots by liveness", labels=["liveness"])
    for state, count in fleet_summary(now).by_liveness.items():
        robots.add_metric([state], count)
    yield robots
    yield from _events(now)
    yield from _deafness(now)
    incidents = GaugeMetricFamily("lekiwi_heartbeat_open_incidents", "Incidents that are not over", labels=["level"])
    for level in ("late", "offline"):
        incidents.add_metric([level], Incident.objects.filter(closed_at=None, level=level).count())
    yield incidents
    waiting = GaugeMetricFamily("lekiwi_heartbeat_unsent_notices", "Notices that nobody has delivered")
    waiting.add_metric([], Notice.objects.filter(sent_at=None).count())
    yield waiting
    age = GaugeMetricFamily("lekiwi_heartbeat_lease_age_seconds", "Since its holder made progress", labels=["lease"])
    term = CounterMetricFamily("lekiwi_heartbeat_lease_terms", "How often a lease was taken", labels=["lease"])
    for lease in Lease.objects.all():
        age.add_metric([lease.name], (now - lease.renewed_at).total_seconds())
        term.add_metric([lease.name], lease.term)
    yield from (age, term)


def _events(now: datetime) -> Iterator[Metric]:
    """The number of a robot's latest event is how many it had, so the sum needs no scan of the events."""
    events = CounterMetricFamily("lekiwi_heartbeat_liveness_events", "Changes of liveness that were written")
    falls = CounterMetricFamily("lekiwi_heartbeat_falls", "How often a robot left online")
    flapping = GaugeMetricFamily("lekiwi_heartbeat_flapping_robots", "Robots that come and go")
    summed = RobotLiveness.objects.aggregate(events=Sum("number"), falls=Sum("falls"))
    events.add_metric([], summed["events"] or 0)
    falls.add_metric([], summed["falls"] or 0)
    flapping.add_metric([], RobotLiveness.objects.filter(flapping=True).count())
    yield from (events, falls, flapping)
    lag = GaugeMetricFamily(
        "lekiwi_heartbeat_notice_lag_seconds", "Longest time from true to noticed in 5 minutes", labels=["to"]
    )
    recent = LivenessEvent.objects.order_by().filter(noticed_at__gt=now - LAG_WINDOW)
    for row in recent.values("to_state").annotate(longest=Max(F("noticed_at") - F("became_at")), count=Count("pk")):
        lag.add_metric([row["to_state"]], row["longest"].total_seconds())
    yield lag


def _deafness(now: datetime) -> Iterator[Metric]:
    heard = GaugeMetricFamily("lekiwi_heartbeat_hearing_age_seconds", "Since a heartbeat could be stored")
    for hearing in Hearing.objects.all():
        heard.add_metric([], (now - hearing.until).total_seconds())
    deaf = CounterMetricFamily("lekiwi_heartbeat_deaf_seconds", "Time in which no heartbeat could be stored")
    # The first one is all the time before anything was heard.
    known = Deafness.objects.exclude(began_at__year=2000).aggregate(lasted=Sum(F("ended_at") - F("began_at")))
    deaf.add_metric([], known["lasted"].total_seconds() if known["lasted"] else 0)
    yield from (heard, deaf)
