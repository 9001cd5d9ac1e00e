"""The way forward as screens and scripts see it: settings, pause, ramp, orders that wait, freezes, pins."""

from datetime import datetime, timedelta
from typing import Any

from migration import configuring, freezing, presence, ramping
from migration.clock import Clock
from migration.models import FreezeWindow, PhaseRun, Pin, Proposal, Ramp, TrafficShift
from migration.rules.phases import next_phase
from migration.rules.ramps import steps_into
from migration.voting import quorum_of

LATEST_SHIFTS = 10


def way_forward(run: PhaseRun, clock: Clock, now: datetime) -> dict[str, Any]:
    """Everything but the gates and votes that a step forward depends on, as JSON can carry it."""
    following = next_phase(run.phase)
    ramp = ramping.running()
    settings = configuring.settings_for(following.slug) if following else None
    steps = steps_into(following, settings, run.percent) if following and settings else ()
    return {
        "percent": run.percent,
        "has_arrived": run.has_arrived,
        "paused": _paused(run),
        "ramp": _ramp(ramp, clock) if ramp else None,
        "steps": [step.words for step in steps],
        "plan": [{"words": step.words, "percent": step.percent} for step in steps],
        "bake_seconds": clock.scaled(timedelta(seconds=settings.bake_seconds)).total_seconds() if settings else None,
        "two_people": bool(settings and settings.needs_two_people),
        "orders": [_order(proposal) for proposal in Proposal.objects.filter(state=Proposal.State.WAITING)],
        "freezes": [told_freeze(window, now) for window in FreezeWindow.objects.filter(lifted_at=None)],
        "frozen": freezing.frozen_now(now, freezing.sites_frozen(now)),
        "pins": [
            {"key": pin.key, "side": pin.side, "reason": pin.reason, "by": pin.pinned_by} for pin in Pin.objects.all()
        ],
        "on_watch": [name for name, _ in presence.present(now)],
        "shifts": [_shift(shift) for shift in TrafficShift.objects.select_related("cohort")[:LATEST_SHIFTS]],
        "quorum": quorum_of(configuring.settings_for(run.slug)).needed,
    }


def _paused(run: PhaseRun) -> dict[str, Any] | None:
    if run.paused_at is None:
        return None
    return {"at": run.paused_at.isoformat(), "by": run.paused_by, "reason": run.pause_reason}


def _ramp(ramp: Ramp, clock: Clock) -> dict[str, Any]:
    bake = clock.scaled(timedelta(seconds=ramp.bake_seconds))
    return {
        "id": ramp.pk,
        "to_phase": ramp.to_phase,
        "to_name": ramp.phase.name,
        "steps": [
            {
                "words": step.words,
                "percent": step.percent,
                "state": "done" if place <= ramp.reached else "next" if place == ramp.reached + 1 else "todo",
            }
            for place, step in enumerate(ramp.plan)
        ],
        "reached": ramp.reached,
        "waits_for": ramp.waits_for,
        "bake_seconds": bake.total_seconds(),
        "bakes_until": (ramp.reached_at + bake).isoformat() if ramp.reached_at else None,
        "requested_by": ramp.requested_by,
        "reason": ramp.reason,
    }


def _order(proposal: Proposal) -> dict[str, Any]:
    return {
        "id": proposal.pk,
        "kind": proposal.kind,
        "words": f"{proposal.get_kind_display()} ({proposal.to_phase})",
        "waits_for": proposal.waits_for,
        "by": proposal.proposed_by,
        "reason": proposal.reason,
        "at": proposal.proposed_at.isoformat(),
        "deadline_at": proposal.deadline_at.isoformat(),
    }


def told_freeze(window: FreezeWindow, now: datetime) -> dict[str, Any]:
    """One freeze window: what it holds, when, and until when it does so now."""
    until = window.freeze.until(now)
    if window.daily_at:
        margins = f"{window.before_minutes} min before to {window.after_minutes} min after"
        when = f"daily, {margins} {window.daily_at:%H:%M} {window.time_zone}"
    else:
        when = f"{window.starts_at:%d %b %H:%M} to {window.ends_at:%d %b %H:%M} UTC"
    return {
        "id": window.pk,
        "site": window.site,
        "reason": window.reason,
        "when": when,
        "holds_until": until.isoformat() if until else None,
        "by": window.made_by,
    }


def _shift(shift: TrafficShift) -> dict[str, Any]:
    return {
        "id": shift.pk,
        "words": shift.words,
        "reason": shift.reason,
        "by": shift.requested_by,
        "at": shift.requested_at.isoformat(),
        "acknowledged_s": shift.acknowledged_seconds,
        "observed_s": shift.observed_seconds,
        "state": shift.state,
        "failure": shift.failure,
    }
