"""Which entries of the audit log somebody wants to see: the same words on the page, in REST and in the command."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q, QuerySet

from migration.models import AuditEntry


def narrowed(entries: QuerySet[AuditEntry], asked: Mapping[str, Any]) -> QuerySet[AuditEntry]:
    """The entries that `actor`, `action` (or its beginning), `since`, `until` and `q` leave; none of them has to be."""
    if actor := asked.get("actor"):
        entries = entries.filter(actor=actor)
    if action := asked.get("action"):
        entries = entries.filter(action__startswith=action)
    if since := asked.get("since"):
        entries = entries.filter(at__gte=since)
    if until := asked.get("until"):
        entries = entries.filter(at__lt=until)
    if words := asked.get("q"):
        entries = entries.filter(
            Q(sentence__icontains=words)
            | Q(actor__icontains=words)
            | Q(action__icontains=words)
            | Q(detail__why__icontains=words)
            | Q(detail__reason__icontains=words)
            | Q(detail__comment__icontains=words)
        )
    return entries
