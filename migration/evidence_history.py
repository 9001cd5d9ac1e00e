"""How the evidence of a phase run for its sequential tests grew over time, read from the stored samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import FloatField, Func, Min
from django.db.models.functions import Extract

from migration import traffic
from migration.models import PhaseRun, TrafficSample
from migration.rules.sequential import Evidence


@dataclass(frozen=True, slots=True)
class Seen:
    """The evidence since the run's began, `seconds` after that: what `new` answered, as owner and as shadow."""

    seconds: float
    errors: Evidence
    slow: Evidence


def seen(run: PhaseRun, now: datetime, points: int = 40) -> Sequence[Seen]:
    """At most about `points` moments from the beginning of the run's evidence until now, the first one empty."""
    begin = run.evidence_from
    samples = TrafficSample.objects.filter(at__gte=begin, at__lte=now).order_by()
    step_seconds = max((now - begin) / points, timedelta(seconds=1)).total_seconds()
    slot = Func(Extract("at", "epoch") / step_seconds, function="FLOOR", output_field=FloatField())
    firsts = samples.annotate(slot=slot).values("slot").annotate(first=Min("id")).values("first")
    kept = list(TrafficSample.objects.filter(pk__in=firsts).order_by("at"))
    latest = samples.order_by("-at").first()
    if latest is not None and latest.pk != kept[-1].pk:
        kept.append(latest)
    if not kept:
        return []
    base, *later = kept
    found = [Seen(0.0, Evidence(0, 0), Evidence(0, 0))]
    for sample in later:
        seconds = (sample.at - begin).total_seconds()
        served = traffic.between(base.totals, sample.totals, seconds).served("new")
        found.append(Seen(seconds, served.errors_seen, served.slow_seen))
    return found
