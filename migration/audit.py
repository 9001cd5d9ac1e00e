"""Writing to the audit log and proving that nobody changed it."""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from migration.actors import Actor
from migration.auditing import anchoring
from migration.clock import system_clock
from migration.models import AuditEntry

#: any constant: one writer appends at a time, or the chain would fork
_APPEND_LOCK = 0x6C656B69

GENESIS = "0" * 64


def record_telling(actor: str, action: str, sentence: str, detail: Mapping[str, Any]) -> None:
    """Append what another app tells of a person's change (`heartbeat.telling`)."""
    record(Actor(actor), action, sentence, at=system_clock().now(), detail=dict(detail))


def record(
    actor: Actor,
    action: str,
    sentence: str,
    *,
    at: datetime,
    detail: dict[str, Any] | None = None,
    uid: uuid.UUID | None = None,
    why: str = "",
    before: Any = None,
    after: Any = None,
) -> AuditEntry:
    """Append one entry. The same `uid` twice returns the first entry. The head is anchored on disk after the commit.

    `why`, `before` and `after` go into the detail under these names, where pages and exports find them.
    """
    uid = uid or uuid.uuid4()
    said = {"why": why, "before": before, "after": after}
    detail = {**(detail or {}), **{name: value for name, value in said.items() if value not in ("", None)}}
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_APPEND_LOCK])
        if known := AuditEntry.objects.filter(uid=uid).first():
            return known
        last = AuditEntry.objects.order_by("-sequence").first()
        entry = AuditEntry(
            sequence=last.sequence + 1 if last else 1,
            uid=uid,
            at=at,
            actor=actor.name,
            action=action,
            sentence=sentence,
            detail=json.loads(json.dumps(detail, default=str)),
            previous_hash=last.hash if last else GENESIS,
        )
        entry.hash = entry.digest
        entry.save(force_insert=True)
        transaction.on_commit(lambda: anchoring.anchor(anchoring.Head(entry.sequence, entry.hash)))
    return entry


def verify() -> list[str]:
    """Return what is wrong with the chain, a sentence each; an empty list proves it whole up to the anchored head."""
    complaints = []
    try:
        head = anchoring.read()  # before the entries: those that come meanwhile are beyond it
    except anchoring.UnreadableAnchor as error:
        head = None
        complaints.append(str(error))
    previous, expected = GENESIS, 1
    for entry in AuditEntry.objects.order_by("sequence").iterator():
        if entry.sequence == expected + 1:
            complaints.append(f"entry {expected} is missing")
        elif entry.sequence != expected:
            complaints.append(f"entries {expected} to {entry.sequence - 1} are missing")
        if entry.previous_hash != previous:
            complaints.append(f"entry {entry.sequence} does not follow the one before it")
        if entry.hash != entry.digest:
            complaints.append(f"entry {entry.sequence} was changed")
        previous, expected = entry.hash, entry.sequence + 1
    if head is None:
        if expected > 1 and not complaints:
            complaints.append(f"there is no anchor at {anchoring.anchor_path()}: a cut tail would not be found")
    elif head.sequence >= expected:
        complaints.append(f"the log ends at {expected - 1}, but {head.sequence} was written: its tail is cut")
    elif not AuditEntry.objects.filter(sequence=head.sequence, hash=head.hash).exists():
        complaints.append(f"entry {head.sequence} is not the one that was anchored")
    return complaints
