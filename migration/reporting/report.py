"""The migration's report: criteria of success, phases, votes, rollbacks; for the command, REST and the page."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from migration.clock import system_clock
from migration.models import GateResult, PhaseRun, Rollback, SideBySide, TrafficShift
from migration.reporting import measuring, stated
from migration.rules import reporting
from migration.rules.phases import phase_of
from migration.rules.reporting import Criterion
from migration.rules.voting import Role


def report(now: datetime | None = None) -> dict[str, Any]:
    """Everything, as JSON can carry it. Times are ISO 8601 UTC, durations seconds."""
    now = now or system_clock().now()
    judged = criteria()
    return {
        "at": now.isoformat(),
        "verdict": reporting.verdict_of(judged),
        "criteria": [asdict(criterion) for criterion in judged],
        "phases": [_phase(run, now) for run in PhaseRun.objects.order_by("id").prefetch_related("votes__person")],
        "rollbacks": [_rollback(rollback) for rollback in Rollback.objects.order_by("decided_at")],
        "shifts": [_shift(shift) for shift in TrafficShift.objects.order_by("id")],
    }


def criteria() -> list[Criterion]:
    """Every criterion of DESIGN.md, "Success", judged on what is stored now."""
    served = measuring.served()
    legacy, new = served.legacy, served.new
    known, on_new, missing, reached = measuring.robots()
    return [
        reporting.downtime(measuring.calls()),
        reporting.error_increase(*served.errors),
        reporting.loss(served.to_new, served.to_legacy),
        reporting.robots_migrated(known, on_new, missing, reached),
        _stated("teleop"),
        reporting.heartbeat_latency(
            (legacy.timed, legacy.p99_milliseconds()),
            (new.timed, new.p99_milliseconds()),
        ),
        reporting.better(
            "noticing",
            "A silent robot noticed faster",
            measuring.side_by_side(SideBySide.Of.SILENCE),
            fewest=reporting.FEWEST_LEARNT,
            what="silences from the robot's last word until it is called offline",
        ),
        reporting.better(
            "reading",
            "The fleet read faster",
            measuring.side_by_side(SideBySide.Of.READING),
            fewest=reporting.FEWEST_READINGS,
            what="readings of the list, by the same call",
            slow_from=reporting.SLOW_READING_SECONDS,
        ),
        reporting.better(
            "knowing_teleop",
            "Teleoperation known faster",
            measuring.side_by_side(SideBySide.Of.OPERATION),
            fewest=reporting.FEWEST_LEARNT,
            what="sessions from their beginning until they are known",
        ),
        _stated("team_trained"),
        _stated("decommissioned"),
    ]


def _stated(name: str) -> Criterion:
    title, limit, missing = stated.STATED[name]
    return reporting.stated(name, title, limit, stated.found(name), missing)


def _phase(run: PhaseRun, now: datetime) -> dict[str, Any]:
    gates: dict[str, GateResult] = {}
    for result in GateResult.objects.filter(run=run).order_by("id"):
        gates[result.gate] = result
    return {
        "run": run.pk,
        "slug": run.slug,
        "name": run.phase.name,
        "state": run.state,
        "build": run.build,
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "seconds": ((run.ended_at or now) - run.started_at).total_seconds(),
        "votes": [
            {
                "role": Role(vote.role).words,
                "person": vote.person.get_username(),
                "choice": vote.choice,
                "comment": vote.comment,
                "at": vote.cast_at.isoformat(),
            }
            for vote in run.votes.all()
        ],
        "gates": [
            {"gate": name, "verdict": result.verdict, "sentence": result.sentence} for name, result in gates.items()
        ],
    }


def _rollback(rollback: Rollback) -> dict[str, Any]:
    return {
        "at": rollback.decided_at.isoformat(),
        "from": phase_of(rollback.from_phase).name,
        "to": phase_of(rollback.to_phase).name,
        "from_percent": rollback.from_percent,
        "to_percent": rollback.to_percent,
        "trigger": rollback.trigger,
        "by": rollback.actor,
        "reason": rollback.reason,
        "state": rollback.state,
        "seconds": rollback.seconds,
        "budget_seconds": rollback.budget_seconds,
    }


def _shift(shift: TrafficShift) -> dict[str, Any]:
    return {
        "at": shift.requested_at.isoformat(),
        "from_percent": shift.from_percent,
        "to_percent": shift.to_percent,
        "by": shift.requested_by,
        "state": shift.state,
        "acknowledged_seconds": shift.acknowledged_seconds,
        "observed_seconds": shift.observed_seconds,
        "failure": shift.failure,
    }
