"""The audit log as text, in order, with all that it takes to prove the chain elsewhere."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import QuerySet

from heartbeat.api.csv_text import written
from migration.models import AuditEntry
from migration.rules.auditing import facets

COLUMNS = (
    *("sequence", "at", "actor", "action", "sentence", "why", "before", "after"),
    *("detail", "uid", "previous_hash", "hash"),
)
FORMATS = ("jsonl", "csv")
_AT_ONCE = 500


def row_of(entry: AuditEntry) -> dict[str, Any]:
    """An entry as it is exported; the hash is over all but why, before and after, which repeat the detail."""
    told = facets(entry.detail)
    return {
        "sequence": entry.sequence,
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "action": entry.action,
        "sentence": entry.sentence,
        "why": told.why,
        "before": told.before,
        "after": told.after,
        "detail": entry.detail,
        "uid": str(entry.uid),
        "previous_hash": entry.previous_hash,
        "hash": entry.hash,
    }


def exported(entries: QuerySet[AuditEntry], as_format: str) -> Iterator[str]:
    """The entries as JSON lines or CSV, the oldest first, some hundred at a time."""
    rows = map(row_of, _in_pieces(entries))
    if as_format == "csv":
        yield written([COLUMNS])
        yield from (written([[row[name] for name in COLUMNS]]) for row in rows)
    else:
        yield from (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _in_pieces(entries: QuerySet[AuditEntry]) -> Iterable[AuditEntry]:
    """Page by page, so that nothing is held open while a slow reader reads."""
    last = 0
    while piece := list(entries.filter(sequence__gt=last).order_by("sequence")[:_AT_ONCE]):
        yield from piece
        last = piece[-1].sequence
