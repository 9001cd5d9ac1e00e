"""Judging the gates of the active phase run, and keeping what they said with the evidence."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

from migration import backups, configuring, consulting, evidence, presence, traffic, voting
from migration.alerts import pipeline
from migration.checklist import reading
from migration.clock import Clock
from migration.models import Alert, GateResult, PhaseRun
from migration.rules import gates, step_gates
from migration.rules.phases import next_phase
from migration.rules.sequential import Judgement, Verdict
from migration.rules.settings import PhaseSettings
from migration.rules.voting import consensus

log = structlog.get_logger(__name__)

LABELS = {
    "checklist": "Checklist",
    "duration": "Duration",
    "stability": "Stability",
    "performance": "Performance",
    "accuracy": "Accuracy",
    "way_back": "Way back",
    "backup": "Backup",
    "monitoring": "Monitoring",
    "external": "External checks",
    "watch": "On watch",
    "warm_legacy": "Warm legacy",
    "archive": "Archive of legacy",
    "report": "Success report",
    "consensus": "Consensus",
}
#: a red one voids the go votes: they judged something that is no longer so
VOIDING = ("checklist", "stability", "performance", "accuracy", "way_back", "monitoring", "external", "backup")


@dataclass(frozen=True, slots=True)
class Judged:
    """One gate with what it was judged on."""

    gate: str
    judgement: Judgement
    evidence: dict[str, Any]

    @property
    def opens(self) -> bool:
        """Only pass opens; what a setting waived does not close."""
        return self.judgement.verdict in (Verdict.PASS, Verdict.WAIVED)

    @property
    def sentence(self) -> str:
        """For a list of reasons."""
        return f"{LABELS[self.gate]}: {self.judgement.sentence}"


#: a judgement and the evidence it rests on
Found = tuple[Judgement, dict[str, Any]]


def judge(run: PhaseRun, clock: Clock) -> list[Judged]:
    """Judge every gate of the run now. What cannot be evaluated to its end is inconclusive, never a pass."""
    now, limits = clock.now(), configuring.settings_for(run.slug)
    questions: dict[str, Callable[[], Found]] = {"duration": lambda: _duration(run, limits, clock, now)}
    if run.phase.number == 0:
        questions["checklist"] = lambda: reading.judge(now)
    else:
        flow = traffic.since(run.evidence_from)
        questions |= {
            "stability": lambda: (_stability(limits, clock, now), _pipeline(now)),
            "performance": lambda: _performance(run, flow, limits, now),
            "accuracy": lambda: _accuracy(run, flow, limits, now),
            "way_back": lambda: (step_gates.way_back(evidence.supplied("way_back")), {}),
            "backup": lambda: (backups.before_leaving(run, now), {}),
            "external": lambda: _external(run),
        }
    if next_phase(run.phase) is None:
        questions |= {
            "warm_legacy": lambda: _warm_legacy(limits, clock, now),
            "archive": lambda: _archive(run),
            "report": lambda: _proven("report", "success report", run),
        }
    questions |= {
        "monitoring": lambda: _monitoring(now),
        "watch": lambda: _watch(run, limits, now),
        "consensus": lambda: _consensus(run, limits, now),
    }
    return [_judged(gate, questions[gate]) for gate in LABELS if gate in questions]


def _judged(gate: str, question: Callable[[], Found]) -> Judged:
    """Ask one gate. Whatever the parts of other packages raise, an evaluation that was cut short opens nothing."""
    try:
        with transaction.atomic():
            judgement, found = question()
    except Exception as error:
        log.exception("gate.cut_short", gate=gate)
        cut = f"the evaluation was cut short: {str(error).strip().splitlines()[0] if str(error).strip() else error!r}"
        return Judged(gate, Judgement(Verdict.INCONCLUSIVE, cut), {})
    return Judged(gate, judgement, found)


def keep(run: PhaseRun, found: list[Judged], now: datetime) -> None:
    """Store the results: a new row when a verdict changed, else the latest evidence in the row there is.

    A gate that turns red voids the go votes that were cast before.
    """
    with transaction.atomic():
        # As a vote does: who voids votes under somebody who casts one would each hold what the other waits for.
        PhaseRun.objects.select_for_update().filter(pk=run.pk).first()
        for judged in found:
            latest = GateResult.objects.filter(run=run, gate=judged.gate).first()
            if latest is None or latest.verdict != judged.judgement.verdict:
                latest = GateResult(run=run, gate=judged.gate, verdict=judged.judgement.verdict, since=now)
                if judged.judgement.verdict is Verdict.FAIL and judged.gate in VOIDING:
                    voting.void_go_votes(run, f"{LABELS[judged.gate]} turned red: {judged.judgement.sentence}", now)
            latest.sentence = judged.judgement.sentence
            latest.evidence = _plain(judged.evidence)
            latest.judged_at = now
            latest.save()
        voting.void_stale(run, now)


def _duration(run: PhaseRun, limits: PhaseSettings, clock: Clock, now: datetime) -> Found:
    lasts = clock.scaled(timedelta(seconds=limits.duration_seconds))
    found = {"started_at": run.evidence_from.isoformat()}
    if not run.has_arrived:
        way = f"on the way: {run.percent} of {run.phase.percent} % reached; its time counts from the last step"
        return Judgement(Verdict.INCONCLUSIVE, way), found
    if run.shortened_to:
        lasts = min(lasts, run.shortened_to - run.evidence_from)
        found["shortened_to_at"] = run.shortened_to.isoformat()
    return gates.duration(run.evidence_from, lasts, now), found


def _performance(run: PhaseRun, flow: traffic.Flow | None, limits: PhaseSettings, now: datetime) -> Found:
    served = evidence.served_by_new(run, flow, now, limits)
    parts = gates.performance_parts(served, limits)
    failed = _failed_before(run) | {
        name: part.sentence for name, part in parts.items() if name in gates.SEQUENTIAL and part.verdict is Verdict.FAIL
    }
    found = {**asdict(served), "parts": _parts(parts), "failed": failed}
    if failed:
        told = "; ".join(failed.values())
        again = "" if any(parts[name].verdict is Verdict.FAIL for name in failed if name in parts) else FINAL
        return Judgement(Verdict.FAIL, f"{told}{again}"), found
    return _bound(run, gates.worst_of(list(parts.values()))), found


FINAL = " (final: judged again only for a new build or other settings)"


def _failed_before(run: PhaseRun) -> dict[str, str]:
    """Sequential tests that this run's evidence has failed already: more of it does not make them good."""
    latest = GateResult.objects.filter(run=run, gate="performance", judged_at__gte=run.evidence_from).first()
    return dict(latest.evidence.get("failed", {})) if latest else {}


def _accuracy(run: PhaseRun, flow: traffic.Flow | None, limits: PhaseSettings, now: datetime) -> Found:
    compared = evidence.compared(run, flow)
    parts = gates.accuracy_parts(compared, now, limits)
    return _bound(run, gates.worst_of(list(parts.values()))), {**asdict(compared), "parts": _parts(parts)}


def _bound(run: PhaseRun, judgement: Judgement) -> Judgement:
    why = configuring.why_unbound(run)
    if why and judgement.verdict is Verdict.PASS:
        return Judgement(Verdict.INCONCLUSIVE, why)
    return judgement


def _parts(parts: dict[str, Judgement]) -> dict[str, Any]:
    return {name: asdict(part) for name, part in parts.items()}


def _external(run: PhaseRun) -> Found:
    answers = consulting.asked_before(run, configuring.settings_for(run.slug), ("after",))
    if not answers:
        return Judgement(Verdict.PASS, "no external check objects"), {}
    return step_gates.external(answers, len(answers)), {"answers": [asdict(answer) for answer in answers]}


def _warm_legacy(limits: PhaseSettings, clock: Clock, now: datetime) -> Found:
    warm_since = evidence.supplied("warm_since")
    needed = clock.scaled(timedelta(seconds=limits.warm_legacy_seconds))
    return step_gates.warm_legacy(warm_since, needed, now), {"warm_since_at": warm_since}


def _proven(name: str, what: str, run: PhaseRun) -> Found:
    proof = evidence.supplied(name)
    return step_gates.proven(what, proof, run.started_at), {"proven_at": proof.at if proof else None}


def _archive(run: PhaseRun) -> Found:
    archive = backups.legacy_archive(run.started_at)
    proof = gates.Proof(True, f"backup {archive.pk}", archive.begun_at) if archive else None
    found = step_gates.proven("archive of legacy's last state that was read back", proof, run.started_at)
    return found, {"archive": archive.pk if archive else None}


def _monitoring(now: datetime) -> Found:
    guards = evidence.guards(now)
    return gates.monitoring(guards), {"guards": [asdict(guard) for guard in guards]}


def _watch(run: PhaseRun, limits: PhaseSettings, now: datetime) -> Found:
    following = next_phase(run.phase)
    needed = limits.needs_watch or bool(following and configuring.settings_for(following.slug).needs_watch)
    here = presence.present(now)
    return step_gates.watch(needed, here, now), {"needed": needed, "present": [name for name, _ in here]}


def _consensus(run: PhaseRun, limits: PhaseSettings, now: datetime) -> Found:
    ballots = [vote.ballot for vote in run.votes.select_related("person")]
    found = consensus(ballots, judged=configuring.judged_now(run), now=now, quorum=voting.quorum_of(limits))
    return found, {"votes": len(ballots)}


def _stability(limits: PhaseSettings, clock: Clock, now: datetime) -> Judgement:
    window = clock.scaled(timedelta(seconds=limits.stability_seconds))
    alerts = Alert.objects.filter(severity=Alert.Severity.CRITICAL).exclude(closed_at__lt=now - window)
    quiet = gates.stability([(alert.sentence, alert.closed_at) for alert in alerts], window, now)
    proven = gates.alert_pipeline(settings.ALERT_PIPELINE, pipeline.age_seconds(now), pipeline.PROVEN_FOR_SECONDS)
    if quiet.verdict is Verdict.PASS and proven.verdict is Verdict.WAIVED:
        return Judgement(Verdict.PASS, f"{quiet.sentence}; {proven.sentence}")
    return gates.worst_of([quiet, proven])


def _pipeline(now: datetime) -> dict[str, Any]:
    return {"pipeline": settings.ALERT_PIPELINE, "pipeline_proven_seconds_ago": pipeline.age_seconds(now)}


def _plain(value: Any) -> Any:
    """Evidence as JSON keeps it."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime) else value
