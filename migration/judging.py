"""Judging the gates of the active phase run, and keeping what they said with the evidence."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from migration import evidence, traffic
from migration.checking import checks
from migration.clock import Clock
from migration.models import Alert, GateResult, PhaseRun
from migration.rules import gates
from migration.rules.sequential import Judgement, Verdict
from migration.rules.voting import consensus

STABILITY_WINDOW = timedelta(minutes=30)

LABELS = {
    "checklist": "Checklist",
    "duration": "Duration",
    "stability": "Stability",
    "performance": "Performance",
    "accuracy": "Accuracy",
    "monitoring": "Monitoring",
    "consensus": "Consensus",
}


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


def judge(run: PhaseRun, clock: Clock) -> list[Judged]:
    """Judge every gate of the run now."""
    now = clock.now()
    lasts = clock.scaled(run.phase.duration)
    found = [
        Judged("duration", gates.duration(run.evidence_from, lasts, now), {"started_at": run.evidence_from.isoformat()})
    ]
    if run.phase.number == 0:
        checked = checks()
        found.insert(0, Judged("checklist", gates.checklist(checked), {"checks": [list(check) for check in checked]}))
    else:
        flow = traffic.since(run.evidence_from)
        served, compared = evidence.served_by_new(run, flow, now), evidence.compared(run, flow)
        found += [
            Judged("stability", _stability(clock, now), {"pipeline": settings.ALERT_PIPELINE}),
            Judged("performance", gates.performance(served), asdict(served)),
            Judged("accuracy", gates.accuracy(compared, now), asdict(compared)),
        ]
    guards = evidence.guards(now)
    ballots = [vote.ballot for vote in run.votes.select_related("person")]
    found += [
        Judged("monitoring", gates.monitoring(guards), {"guards": [asdict(guard) for guard in guards]}),
        Judged("consensus", consensus(ballots, judged=judged_now(run), now=now), {"votes": len(ballots)}),
    ]
    return found


def judged_now(run: PhaseRun) -> str:
    """What a vote must have judged to count: the build that runs now, and the phase's settings."""
    return PhaseRun(slug=run.slug, build=settings.NEW_BUILD, evidence_from=run.evidence_from).judged


def keep(run: PhaseRun, found: list[Judged], now: datetime) -> None:
    """Store the results: a new row when a verdict changed, else the latest evidence in the row there is."""
    for judged in found:
        latest = GateResult.objects.filter(run=run, gate=judged.gate).first()
        if latest is None or latest.verdict != judged.judgement.verdict:
            latest = GateResult(run=run, gate=judged.gate, verdict=judged.judgement.verdict, since=now)
        latest.sentence = judged.judgement.sentence
        latest.evidence = _plain(judged.evidence)
        latest.judged_at = now
        latest.save()


def _stability(clock: Clock, now: datetime) -> Judgement:
    window = clock.scaled(STABILITY_WINDOW)
    alerts = Alert.objects.filter(severity=Alert.Severity.CRITICAL).exclude(closed_at__lt=now - window)
    quiet = gates.stability([(alert.sentence, alert.closed_at) for alert in alerts], window, now)
    pipeline = gates.alert_pipeline(settings.ALERT_PIPELINE)
    if quiet.verdict is Verdict.PASS and pipeline.verdict is Verdict.WAIVED:
        return Judgement(Verdict.PASS, f"{quiet.sentence}; {pipeline.sentence}")
    return gates.worst_of([quiet, pipeline])


def _plain(value: Any) -> Any:
    """Evidence as JSON keeps it."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime) else value
