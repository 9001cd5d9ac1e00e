"""How much sync may ask of legacy, changed by operators while it runs."""

from typing import Any

from django.db import transaction

from migration import audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import Refused
from migration.models import SyncTuning
from migration.models.sync_state import THE_SYNC
from migration.rules.pacing import Wishes

FIELDS = ("interval_seconds", "calls_per_second", "batch_size", "paused")
#: what makes sense, name → (least, most)
BOUNDS = {"interval_seconds": (0.1, 60.0), "calls_per_second": (1.0, 10_000.0), "batch_size": (1, 5_000)}


class BadTuning(Refused):
    """A value that makes no sense; `field` names it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field, self.reason = field, reason


def wishes() -> Wishes:
    """As configured now."""
    row = SyncTuning.objects.filter(pk=THE_SYNC).values(*FIELDS).first()
    return Wishes(**row) if row else Wishes()


@transaction.atomic
def tune(changes: dict[str, Any], *, actor: Actor, reason: str = "") -> SyncTuning:
    """Change the named settings. Raises `BadTuning`, and nothing has changed then."""
    for name, (least, most) in BOUNDS.items():
        if name in changes and not least <= changes[name] <= most:
            raise BadTuning(name, f"is a number from {least:g} to {most:g}")
    row, _ = SyncTuning.objects.select_for_update().get_or_create(pk=THE_SYNC)
    before = {name: getattr(row, name) for name in FIELDS}
    changed = {name: value for name, value in changes.items() if name in FIELDS and value != before[name]}
    if not changed:
        return row
    for name, value in changed.items():
        setattr(row, name, value)
    row.changed_by, row.changed_at = actor.name, system_clock().now()
    row.save()
    words = ", ".join(f"{name.replace('_', ' ')} {before[name]} → {value}" for name, value in changed.items())
    because = f": {reason}" if reason else ""
    audit.record(
        actor, "sync.tuned", f"tuned sync ({words}){because}", at=row.changed_at, detail={"before": before, **changed}
    )
    return row
