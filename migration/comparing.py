"""Comparing both systems all the time: what the Accuracy gate stands on."""

from django.db import connection

from migration.models import Comparison
from migration.validation import integrity

#: any constant: a comparison that takes longer than the schedule is not joined by another
_COMPARE_LOCK = 0x6C656B6B


def compare() -> Comparison | None:
    """Check everything now and keep what differs (docs/validation.md). None while another process does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_COMPARE_LOCK])
        if not cursor.fetchone()[0]:
            return None
        try:
            return integrity.check().comparison
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_COMPARE_LOCK])
