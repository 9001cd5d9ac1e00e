"""Rows that cannot be taken over: kept with the reason, looked at again with every reading, settled when they can."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from migration.models import QuarantinedRow

log = structlog.get_logger(__name__)

#: that a row was tried again is written this often, not with every reading
WRITE_EVERY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Bad:
    """Why a row waits."""

    reason: str
    document: Any
    candidates: list[str] = field(default_factory=list)


def hold(source: str, bad: Mapping[str, Bad], now: datetime) -> int:
    """Have exactly these rows of `source` wait, by name: new ones are kept, those that are not among them settled.

    Returns how many are new.
    """
    waiting = {row.name: row for row in QuarantinedRow.objects.filter(source=source, settled_at=None)}
    fresh = [
        QuarantinedRow(
            source=source,
            name=name,
            reason=one.reason,
            document=one.document,
            candidates=one.candidates,
            first_at=now,
            tried_at=now,
        )
        for name, one in bad.items()
        if name not in waiting
    ]
    for row in QuarantinedRow.objects.bulk_create(fresh, ignore_conflicts=True):
        log.warning("sync.quarantined", source=source, row=row.name[:128], reason=row.reason)
    for name, row in waiting.items():
        if name not in bad:
            row.settled_at, row.settled_because = now, "it could be taken over, or legacy has it no more"
            row.save(update_fields=["settled_at", "settled_because"])
            log.info("sync.settled", source=source, row=name[:128])
        elif row.reason != bad[name].reason or now - row.tried_at > WRITE_EVERY:
            row.reason, row.document, row.candidates = bad[name].reason, bad[name].document, bad[name].candidates
            row.tried_at, row.tries = now, row.tries + 1
            row.save(update_fields=["reason", "document", "candidates", "tried_at", "tries"])
    return len(fresh)
