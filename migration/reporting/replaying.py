"""A stored phase judged again under other thresholds, from its samples."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from migration import configuring, traffic
from migration.models import PhaseRun, Rollback, TrafficSample
from migration.reporting.measuring import samples
from migration.rules import replaying
from migration.rules.replaying import Firing, Look
from migration.rules.watching import Matrix
from migration.watchdog import WINDOW_SECONDS

#: samples further apart than this were thinned out as they aged
_WHOLE_SECONDS = 5.0


class NothingStored(Exception):
    """There is no such run, or no sample of it is kept."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What the thresholds of then and other ones say of the same evidence."""

    run: PhaseRun
    samples: int
    #: the largest distance between two samples, seconds: a window cannot be shorter
    coarsest_seconds: float
    rolled_back_at: float | None
    stored: list[Firing]
    other: list[Firing]
    sentence: str
    gate_stored: replaying.Gate
    gate_other: replaying.Gate

    def as_json(self) -> dict[str, Any]:
        """Everything, as JSON can carry it; times in seconds since the phase began."""
        told = {name: [asdict(one) for one in getattr(self, name)] for name in ("stored", "other")}
        gates = {name: asdict(getattr(self, name)) for name in ("gate_stored", "gate_other")}
        return {
            "run": self.run.pk,
            "phase": self.run.phase.name,
            "samples": self.samples,
            "coarsest_seconds": self.coarsest_seconds,
            "is_thinned": self.coarsest_seconds > _WHOLE_SECONDS,
            "rolled_back_at": self.rolled_back_at,
            "sentence": self.sentence,
            **told,
            **gates,
        }


def replay(run_id: int, values: Mapping[str, float]) -> Replay:
    """Judge the run again. `values` are thresholds by their words (`rules.replaying.threshold`).

    Raises `NothingStored`.
    """
    run = PhaseRun.objects.filter(pk=run_id).first()
    if run is None:
        known = ", ".join(str(pk) for pk in PhaseRun.objects.order_by("pk").values_list("pk", flat=True))
        raise NothingStored(f"there is no phase run {run_id}; there are {known or 'none'}")
    kept = list(samples().filter(at__gte=run.evidence_from, **({"at__lte": run.ended_at} if run.ended_at else {})))
    if len(kept) < 2:
        raise NothingStored(f"of run {run_id} ({run.phase.name}) {len(kept)} samples are kept: two are needed")
    if run.phase.percent == 0 and not run.phase.shadow:
        raise NothingStored(f"in {run.phase.name} new heard nothing, so no rule could have fired")
    looks = _looks(run, kept)
    rolled_back_at = _rolled_back_at(run)
    then = Matrix()
    stored, other = (replaying.firings(looks, matrix) for matrix in (then, replaying.changed(then, values)))
    limits = configuring.settings_for(run.slug)
    errors, slow = limits.error_limit_percent / 100, limits.slow_limit_percent / 100
    seen = _evidence(run, kept)
    return Replay(
        run=run,
        samples=len(kept),
        coarsest_seconds=max((b.at - a.at).total_seconds() for a, b in pairwise(kept)),
        rolled_back_at=rolled_back_at,
        stored=stored,
        other=other,
        sentence=replaying.sentence(stored, other, rolled_back_at),
        gate_stored=replaying.gate(seen, error_limit=errors, slow_limit=slow),
        gate_other=replaying.gate(
            seen,
            error_limit=values.get("gate_error_rate", errors),
            slow_limit=values.get("gate_slow_rate", slow),
        ),
    )


def _looks(run: PhaseRun, kept: list[TrafficSample]) -> list[Look]:
    """As the watchdog looked: the change over its window, or over the last two samples where they are further apart."""
    found = []
    begin = 0
    for place in range(1, len(kept)):
        now = kept[place]
        while begin < place - 1 and (now.at - kept[begin].at).total_seconds() > WINDOW_SECONDS + 0.5:
            begin += 1
        earlier = kept[begin]
        flow = traffic.between(earlier.totals, now.totals, (now.at - earlier.at).total_seconds())
        at = (now.at - run.evidence_from).total_seconds()
        found.append(Look(at, flow.window("new"), flow.window("legacy")))
    return found


def _evidence(run: PhaseRun, kept: list[TrafficSample]) -> list[Any]:
    """(seconds since the phase began, errors, slow answers) of new since then, at every sample."""
    found = []
    for sample in kept[1:]:
        both = traffic.between(kept[0].totals, sample.totals, 0.0).served("new")
        found.append(((sample.at - run.evidence_from).total_seconds(), both.errors_seen, both.slow_seen))
    return found


def _rolled_back_at(run: PhaseRun) -> float | None:
    if run.state != PhaseRun.State.ROLLED_BACK or run.ended_at is None:
        return None
    rollback = Rollback.objects.filter(from_phase=run.slug, decided_at__lte=run.ended_at).first()
    at = rollback.decided_at if rollback else run.ended_at
    return (at - run.evidence_from).total_seconds()
