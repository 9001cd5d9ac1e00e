"""Putting rollbacks that were spooled to disk into the database: idempotent, in order, by whoever gets there first."""

import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

from migration import audit, spool
from migration.actors import Actor
from migration.configuring import digest_for
from migration.models import PhaseRun, Ramp, Rollback, TrafficShift
from migration.rules.phases import phase_of

log = structlog.get_logger(__name__)


def spool_directory() -> Path:
    """Where records wait."""
    return Path(settings.SPOOL_DIR)


def drain() -> int:
    """Store everything that waits and return how many records were stored. Raises what the database raises."""
    stored = 0
    for path, record in spool.waiting(spool_directory()):
        with transaction.atomic():
            _store(record)
        path.unlink(missing_ok=True)
        log.info("spool.stored", uid=record["uid"], kind=record["kind"])
        stored += 1
    return stored


def _store(record: dict[str, Any]) -> None:
    if record["kind"] != "rollback":
        raise ValueError(f"a record of an unknown kind waits in the spool: {record['kind']!r}")
    fields = dict(record["rollback"])
    fields["decided_at"] = datetime.fromisoformat(fields["decided_at"])
    uid = uuid.UUID(record["uid"])
    _, created = Rollback.objects.get_or_create(uid=uid, defaults=fields)
    if not created:
        return
    if fields["state"] != Rollback.State.FAILED:
        _follow(fields["to_phase"], fields["decided_at"])
    sentence = f"rolled back {fields['from_percent']} → {fields['to_percent']} %: {fields['reason']}"
    audit.record(
        Actor(fields["actor"]), "rollback", sentence, at=fields["decided_at"], uid=uid, detail=record["rollback"]
    )


def _follow(to_phase: str, at: datetime) -> None:
    """Make the phase runs and shifts agree with where the traffic went."""
    for shift in TrafficShift.objects.select_for_update().filter(state__in=TrafficShift.WAITING):
        shift.fail("overtaken by a rollback", at)
        shift.save()
    for ramp in Ramp.objects.select_for_update().filter(state=Ramp.State.RUNNING):
        ramp.overtake(at)
        ramp.save()
    active = PhaseRun.objects.select_for_update().filter(state=PhaseRun.State.ACTIVE).first()
    if active is not None:
        if active.slug == to_phase and active.started_at >= at:
            return
        active.roll_back(at)
        active.save()
    open_run(to_phase, at)


def open_run(slug: str, at: datetime) -> PhaseRun:
    """Open a run of a phase; the one before must have ended."""
    return PhaseRun.objects.create(
        slug=phase_of(slug).slug,
        started_at=at,
        evidence_from=at,
        build=settings.NEW_BUILD,
        settings=digest_for(phase_of(slug)),
    )
