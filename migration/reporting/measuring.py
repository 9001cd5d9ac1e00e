"""The figures of the report, from what was stored while it happened."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from django.db.models import Aggregate, Count, FloatField, Q, QuerySet

from heartbeat.models import Robot
from migration import traffic
from migration.models import PhaseRun, SideBySide, TrafficSample
from migration.rules.reporting import Calls, Pairs
from migration.rules.sequential import Evidence

_MOST_NAMES = 10


@dataclass(frozen=True, slots=True)
class Served:
    """What both systems answered as owners in the phases that held, and how their copies arrived."""

    legacy: traffic.Served
    new: traffic.Served
    to_new: tuple[int, int]
    to_legacy: tuple[int, int]

    @property
    def errors(self) -> tuple[Evidence, Evidence]:
        """Of legacy and of new."""
        return self.legacy.errors_seen, self.new.errors_seen


def samples() -> QuerySet[TrafficSample]:
    """Every sample that is kept, the oldest first."""
    return TrafficSample.objects.order_by("at")


def calls() -> Calls | None:
    """Robots' calls at the door since they are counted; None if no sample counts them.

    An interval in which a share of the calls failed counts as down for that share of it: so a sample a minute, which
    is what is kept of old days, tells the same as one a second.
    """
    counted = [(at, totals) for at, totals in samples().values_list("at", "totals") if "robots.calls" in totals]
    if len(counted) < 2:
        return None
    down = 0.0
    for (before, earlier), (after, later) in pairwise(counted):
        asked = later["robots.calls"] - earlier["robots.calls"]
        failed = later["robots.failed"] - earlier["robots.failed"]
        if asked > 0:
            down += (after - before).total_seconds() * failed / asked
    first, last = counted[0][1], counted[-1][1]
    return Calls(
        calls=last["robots.calls"] - first["robots.calls"],
        failed=last["robots.failed"] - first["robots.failed"],
        down_seconds=down,
        since=f"{counted[0][0]:%d %b %H:%M} UTC",
    )


def served() -> Served:
    """Summed over the phases that held: what was rolled back tells why, not how good `new` is now."""
    legacy = new = traffic.Served()
    copies = dict.fromkeys(traffic.COUNTS, 0)
    for run in PhaseRun.objects.exclude(state=PhaseRun.State.ROLLED_BACK):
        flow = between(run.started_at, run.ended_at)
        if flow:
            legacy, new = legacy + flow.parts["legacy.owner"], new + flow.parts["new.owner"]
            copies = {name: count + flow.counts[name] for name, count in copies.items()}

    def mirrored(direction: str) -> tuple[int, int]:
        return copies[f"mirror.{direction}.primaries"], copies[f"mirror.{direction}.copies"]

    return Served(legacy, new, mirrored("to_new"), mirrored("to_legacy"))


def between(began: datetime, ended: datetime | None) -> traffic.Flow | None:
    """What happened in a span, from the samples nearest to its ends; None without two of them."""
    inside = samples().filter(at__gte=began, **({"at__lte": ended} if ended else {}))
    first = samples().filter(at__lte=began).last() or inside.first()
    last = inside.last()
    if first is None or last is None or first.pk == last.pk:
        return None
    return traffic.between(first.totals, last.totals, (last.at - first.at).total_seconds())


def robots() -> tuple[int, int, list[str], bool]:
    """(known, answered by new as their owner since the whole fleet moved, some that were not, whether it moved)."""
    full = PhaseRun.objects.filter(slug__in=("full_100", "decommission")).exclude(state=PhaseRun.State.ROLLED_BACK)
    moved_at = full.order_by("started_at").values_list("started_at", flat=True).first()
    heard = Robot.objects.exclude(last_seen_at=None)
    on_new = Q(last_acknowledged_as_owner_at__gte=moved_at) if moved_at else Q(last_side="new")
    missing = heard.exclude(on_new).order_by("robot_id").values_list("robot_id", flat=True)[:_MOST_NAMES]
    return heard.count(), heard.filter(on_new).count(), list(missing), moved_at is not None


def side_by_side(of: SideBySide.Of) -> Pairs:
    """What both systems learnt, as medians. Legacy's are lower bounds, so theirs is one of the true median."""
    state = SideBySide.State
    kept = SideBySide.objects.filter(of=of)
    counted = kept.exclude(state=state.BEFORE).aggregate(
        count=Count("id"),
        unsaid=Count("id", filter=~Q(state=state.SAID)),
        legacy=Median("legacy_seconds"),
        new=Median("new_seconds"),
    )
    return Pairs(**counted, said_before=kept.filter(state=state.BEFORE).count())


class Median(Aggregate):
    """PostgreSQL's."""

    function = "percentile_cont"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()
