"""The state of the migration as screens and scripts see it: one mapping, nothing in it that was not measured."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max

from migration import (
    advancing,
    configuring,
    evidence,
    freezing,
    guarding,
    judging,
    ramping,
    rehearsing,
    traffic,
    voting,
)
from migration.alerts import pipeline
from migration.clock import Clock, system_clock
from migration.handing_over import lacking
from migration.models import Alert, AuditEntry, GateResult, PhaseRun, Rollback, TrafficShift
from migration.rules.phases import PHASES, Phase, next_phase, phase_of, rollback_target
from migration.rules.voting import Role, why_void
from migration.split_status import split as split_now
from migration.way_forward import way_forward

WINDOW = timedelta(seconds=10)
SERIES_WIDTH = timedelta(minutes=15)
SERIES_POINTS = 180
UNGUARDED_AFTER_SECONDS = 5.0


def status(now: datetime | None = None) -> dict[str, Any]:
    """Everything the cockpit shows of the migration, as JSON can carry it. Times are ISO 8601 UTC."""
    clock = system_clock()
    now = now or clock.now()
    run = advancing.active_run()
    flow = traffic.latest_window(now, WINDOW)
    guards = evidence.guards(now)
    alerts = list(Alert.objects.filter(closed_at=None))
    gates = _gates(run)
    shift = TrafficShift.objects.filter(state__in=TrafficShift.WAITING).first()
    split, latch = split_now(run, now, WINDOW)
    unguarded = _unguarded(guards)
    return {
        "at": now.isoformat(),
        "phase": _phase(run, clock, now),
        "phases": [_place(phase, run.phase) for phase in PHASES],
        "split": split,
        "latch": latch,
        "shift": _shift(shift) if shift else None,
        "last_shift": _last_shift(),
        "next": _next(run, gates, unguarded, latch, shift),
        "gates": gates,
        "votes": _votes(run, now),
        "quorum": {"go": _going(run, now), "needed": voting.quorum_of(configuring.settings_for(run.slug)).needed},
        "way": way_forward(run, clock, now),
        "systems": {system: _system(flow, system) for system in ("new", "legacy")},
        "series": traffic.series(now, width=SERIES_WIDTH, points=SERIES_POINTS),
        "mirror": _mirror(run),
        "guards": [
            {
                "name": guard.name,
                "label": guard.name.replace("_", " ").capitalize(),
                "age_seconds": guard.age_seconds,
                "limit_seconds": guard.limit_seconds,
                "ok": guard.is_alive,
            }
            for guard in guards
        ],
        "unguarded": unguarded,
        "alerts": [
            {
                "name": alert.name,
                "severity": alert.severity,
                "sentence": alert.sentence,
                "opened_at": alert.opened_at.isoformat(),
                "acknowledged_by": alert.acknowledged_by or None,
            }
            for alert in alerts
        ],
        "worst": _worst(alerts, unguarded, latch),
        "last_rollback": _last_rollback(),
        "legacy_lacks": lacking(),
        "changes": [
            {"at": entry.at.isoformat(), "who": entry.actor, "sentence": entry.sentence}
            for entry in AuditEntry.objects.all()[:8]
        ],
        "pipeline": pipeline.word(now),
    }


def _phase(run: PhaseRun, clock: Clock, now: datetime) -> dict[str, Any]:
    planned = timedelta(seconds=configuring.settings_for(run.slug).duration_seconds)
    phase, lasts = run.phase, clock.scaled(planned)
    budget = phase.rollback_budget
    return {
        "number": phase.number,
        "slug": phase.slug,
        "name": phase.name,
        "percent": phase.percent,
        "shadow": phase.shadow,
        "run": run.pk,
        "started_at": run.started_at.isoformat(),
        "ends_at": min(run.evidence_from + lasts, run.shortened_to or run.evidence_from + lasts).isoformat(),
        "duration_seconds": lasts.total_seconds(),
        "elapsed_seconds": (now - run.evidence_from).total_seconds(),
        "risk": phase.risk,
        "next": _brief(next_phase(phase)),
        "previous": _brief(rollback_target(phase)),
        "rollback_budget_seconds": budget.total_seconds() if budget else None,
        "build": settings.NEW_BUILD,
        "time_scale": settings.MIGRATION_TIME_SCALE,
    }


def _brief(phase: Phase | None) -> dict[str, Any] | None:
    return {"slug": phase.slug, "name": phase.name, "percent": phase.percent, "shadow": phase.shadow} if phase else None


def _place(phase: Phase, current: Phase) -> dict[str, Any]:
    state = "now" if phase == current else "done" if phase.number < current.number else "todo"
    return {"number": phase.number, "slug": phase.slug, "name": phase.name, "percent": phase.percent, "state": state}


def _shift(shift: TrafficShift) -> dict[str, Any]:
    return {
        "id": shift.pk,
        "from": shift.from_percent,
        "to": shift.to_percent,
        "to_phase": shift.to_phase,
        "state": shift.state,
        "waits_for": shift.waits_for,
        "requested_at": shift.requested_at.isoformat(),
        "deadline_at": shift.deadline_at.isoformat(),
        "requested_by": shift.requested_by,
        "reason": shift.reason,
    }


def _last_shift() -> dict[str, Any] | None:
    shift = TrafficShift.objects.exclude(state__in=TrafficShift.WAITING).first()
    if shift is None:
        return None
    return {
        "id": shift.pk,
        "from": shift.from_percent,
        "to": shift.to_percent,
        "state": shift.state,
        "acknowledged_s": shift.acknowledged_seconds,
        "observed_s": shift.observed_seconds,
        "requested_by": shift.requested_by,
        "at": (shift.ended_at or shift.requested_at).isoformat(),
        "failure": shift.failure,
    }


def _next(
    run: PhaseRun,
    gates: list[dict[str, Any]],
    unguarded: str | None,
    latch: dict[str, Any] | None,
    shift: TrafficShift | None,
) -> dict[str, Any]:
    following = next_phase(run.phase)
    if following is None:
        return {"sentence": f"{run.phase.name} is the last phase.", "may_advance": False, "reasons": []}
    reasons = [f"{gate['label']}: {gate['sentence']}" for gate in gates if gate["verdict"] not in ("pass", "waived")]
    if not gates:
        reasons.append("no gate has been judged yet")
    if unguarded:
        reasons.append(unguarded)
    if latch:
        reasons.append(f"latched by {latch['by']}: {latch['because']}")
    if shift:
        reasons.append(f"shift {shift.pk} is on its way and waits for {shift.waits_for}")
    if run.is_paused:
        reasons.append(f"paused by {run.paused_by}: {run.pause_reason}")
    if not run.has_arrived and ramping.running() is None:
        reasons.append(f"the ramp was cancelled at {run.percent} of {run.phase.percent} %")
    reasons += freezing.frozen_now(system_clock().now(), ())
    if remaining := advancing.cool_down_remaining():
        reasons.append(f"cool-down after a rollback: {remaining.total_seconds():,.0f} s left")
    reasons += [*guarding.why_locked(), *rehearsing.why_locked()]
    things = "thing" if len(reasons) == 1 else "things"
    waits = f"It waits for {len(reasons)} {things}." if reasons else "Nothing stands in the way."
    return {"sentence": f"Next: {following.name}. {waits}", "may_advance": not reasons, "reasons": reasons}


def _gates(run: PhaseRun) -> list[dict[str, Any]]:
    latest: dict[str, GateResult] = {}
    newest = GateResult.objects.filter(run=run).aggregate(at=Max("judged_at"))["at"]
    # A gate that is not asked any more, because the settings changed, has no verdict.
    for result in GateResult.objects.filter(run=run, judged_at=newest).order_by("id"):
        latest[result.gate] = result
    return [
        {
            "name": name,
            "label": label,
            "verdict": latest[name].verdict,
            "sentence": latest[name].sentence,
            "since": latest[name].since.isoformat(),
            "judged_at": latest[name].judged_at.isoformat(),
            "evidence": latest[name].evidence,
        }
        for name, label in judging.LABELS.items()
        if name in latest
    ]


def _votes(run: PhaseRun, now: datetime) -> list[dict[str, Any]]:
    # A vote that still counts stands before one that was voided.
    votes = sorted(run.votes.select_related("person"), key=lambda vote: (not vote.void_reason, vote.cast_at))
    cast = {vote.role: vote for vote in votes}
    judged, quorum = configuring.judged_now(run), voting.quorum_of(configuring.settings_for(run.slug))
    rows = []
    for role in Role:
        vote = cast.get(role.value)
        why = why_void(vote.ballot, judged=judged, now=now, quorum=quorum) if vote else ""
        rows.append(
            {
                "role": role.value,
                "label": role.label,
                "title": role.words,
                "choice": vote.choice if vote else None,
                "person": vote.person.get_username() if vote else None,
                "comment": vote.comment if vote else "",
                "at": vote.cast_at.isoformat() if vote else None,
                "void": bool(why),
                "void_reason": why,
                "as_backup": bool(vote and vote.as_backup),
            }
        )
    return rows


def _going(run: PhaseRun, now: datetime) -> int:
    return sum(1 for vote in _votes(run, now) if vote["choice"] == "go" and not vote["void"])


def _system(flow: traffic.Flow | None, system: str) -> dict[str, Any]:
    if flow is None:
        return {"error_percent": None, "p99_ms": None, "requests": None, "window_seconds": None}
    window = flow.window(system)
    return {
        "error_percent": 100 * window.error_share if window.requests else None,
        "p99_ms": window.p99_milliseconds,
        "requests": window.requests,
        "window_seconds": flow.seconds,
    }


def _mirror(run: PhaseRun) -> dict[str, Any]:
    flow = traffic.since(run.evidence_from)
    mirrored = {}
    for direction in ("to_new", "to_legacy"):
        primaries = flow.counts[f"mirror.{direction}.primaries"] if flow else 0
        copies = flow.counts[f"mirror.{direction}.copies"] if flow else 0
        percent = 100 * min(copies, primaries) / primaries if primaries else None
        mirrored[direction] = {"primaries": primaries, "copies": copies, "percent": percent}
    return mirrored


def _unguarded(guards: list[evidence.Guard]) -> str | None:
    stuck = [guard for guard in guards if not guard.is_alive]
    if not stuck:
        return None
    told = "; ".join(
        f"the {guard.name.replace('_', ' ')} has made no progress"
        + (f" for {guard.age_seconds:.0f} s" if guard.age_seconds is not None else " yet")
        for guard in stuck
    )
    return f"{told[0].upper()}{told[1:]}. Steps forward are locked."


def _worst(alerts: list[Alert], unguarded: str | None, latch: dict[str, Any] | None) -> str:
    if unguarded or latch or any(alert.severity == Alert.Severity.CRITICAL for alert in alerts):
        return "bad"
    return "warn" if alerts else "ok"


def _last_rollback() -> dict[str, Any] | None:
    rollback = Rollback.objects.first()
    if rollback is None:
        return None
    return {
        "from": rollback.from_percent,
        "to": rollback.to_percent,
        "from_phase": phase_of(rollback.from_phase).name,
        "to_phase": phase_of(rollback.to_phase).name,
        "trigger": rollback.trigger,
        "reason": rollback.reason,
        "by": rollback.actor,
        "seconds": rollback.seconds,
        "budget_seconds": rollback.budget_seconds,
        "state": rollback.state,
        "late": rollback.late,
        "at": rollback.decided_at.astimezone(UTC).isoformat(),
    }
