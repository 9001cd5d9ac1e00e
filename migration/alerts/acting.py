"""An alert that asks for a rollback gets one: exactly one for each time it begins to fire. Needs no database.

What was done is noted on disk, because the database may be what the alert is about. While somebody has switched
automatic rollbacks off it only says what it would have done.
"""

import hashlib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseError

from migration import guarding, recording, rolling_back, routing, spool
from migration.actors import Actor
from migration.clock import system_clock
from migration.drivers.errors import RouteError
from migration.errors import Refused
from migration.models import Rollback
from migration.rules.alerting import Firing
from migration.rules.phases import phase_of
from migration.rules.watching import Action, Finding, Mode

log = structlog.get_logger(__name__)

ALERTMANAGER = Actor("alertmanager")


def roll_back_for(firing: Firing) -> str:
    """Roll back because of this alert, once, and return what came of it as a sentence.

    The phase to leave is noted before the route moves: a repetition after a kill leaves the same phase, which is
    refused if it was left, and never a second one. A rollback that failed is tried again by the next repetition, and
    so is one that the kill switch held, once it is on again.
    """
    note = _note_of(firing)
    known = _read(note)
    if known.get("outcome"):
        return str(known["outcome"])
    try:
        leaving = known.get("leaving") or routing.route_file().read().plan.phase
    except RouteError as error:
        return f"no rollback: the route file cannot be read ({error}); only an emergency can replace it"
    begun = {"alert": firing.name, "began_at": firing.began_at.isoformat(), "leaving": leaving}
    if not known and (at := _rolled_back_since(firing.judges_from)):
        outcome = f"no rollback: traffic went back at {at:%H:%M:%S} UTC, after what this judges began"
        _write(note, {**begun, "outcome": outcome})
        return outcome
    if not (allowed := guarding.in_force()).is_on:
        return _only_observed(firing, leaving, allowed.because)
    _write(note, begun)
    try:
        record = rolling_back.roll_back(
            "previous",
            reason=f"alert {firing.name}: {firing.sentence}",
            actor=ALERTMANAGER,
            trigger=rolling_back.AUTOMATIC,
            leaving=leaving,
        )
    except Refused as refused:
        outcome = f"no rollback: {refused}"
    else:
        late = f" ({'; '.join(record.late)})" if record.late else ""
        outcome = f"rolled back {record.from_percent} → {record.to_percent} %: {record.state}{late}"
        if record.state == rolling_back.FAILED:
            log.error("alert.rollback_failed", alert=firing.name, late=record.late)
            return outcome
    _write(note, {**begun, "outcome": outcome})
    log.critical("alert.acted", alert=firing.name, outcome=outcome)
    return outcome


def _only_observed(firing: Firing, leaving: str, because: str) -> str:
    """Say and keep what would have been done, were automatic rollbacks not switched off."""
    log.warning("alert.observed", would=Action.PREVIOUS, alert=firing.name, leaving=leaving, because=because)
    told = f"alert {firing.name}: {firing.sentence}; would have left {phase_of(leaving).name}"
    try:
        guarding.keep_finding(Finding("alert", Action.PREVIOUS, told), Mode.OBSERVE, system_clock().now())
    except DatabaseError as error:
        log.warning("alert.database", error=str(error))
    return f"no rollback: it would have left {phase_of(leaving).name}, but automatic ones are switched off by {because}"


def _rolled_back_since(moment: datetime) -> datetime | None:
    """When traffic went back after `moment`, by whomever: one fault that is noticed twice must not take it back twice.

    From what waits on disk and, while it answers, from the database.
    """
    waiting = (record["rollback"] for _, record in spool.waiting(recording.spool_directory()) if "rollback" in record)
    moments = [datetime.fromisoformat(one["decided_at"]) for one in waiting if one["state"] != rolling_back.FAILED]
    try:
        stored = Rollback.objects.exclude(state=Rollback.State.FAILED).first()
    except DatabaseError as error:
        log.warning("alert.database", error=str(error))
        stored = None
    if stored:
        moments.append(stored.decided_at)
    latest = max(moments, default=None)
    return latest if latest and latest >= moment else None


def forget_before(moment: datetime) -> None:
    """Remove notes of alerts that were acted on before `moment`."""
    for note in _directory().glob("*.json"):
        if note.stat().st_mtime < moment.timestamp():
            note.unlink(missing_ok=True)


def _directory() -> Path:
    return Path(settings.SPOOL_DIR) / "alerts"


def _note_of(firing: Firing) -> Path:
    named = f"{firing.key} {firing.began_at.isoformat()}"
    return _directory() / f"{hashlib.sha256(named.encode()).hexdigest()[:32]}.json"


def _read(note: Path) -> dict[str, Any]:
    try:
        found = json.loads(note.read_text())
    except FileNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}


def _write(note: Path, contents: dict[str, Any]) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    scratch = note.with_suffix(f".{os.getpid()}.tmp")
    with scratch.open("w") as file:
        json.dump(contents, file)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(note)
