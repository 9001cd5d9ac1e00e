"""Closing the legacy path for a cohort, whose robots then have to speak v2."""

from datetime import datetime

from django.db import IntegrityError, transaction

from heartbeat.access.errors import AlreadyClosed
from heartbeat.models import LegacyClosure
from heartbeat.rules.cohorts import Cohort
from heartbeat.telling import tell


@transaction.atomic
def close(cohort: Cohort, *, reason: str, by: str, at: datetime) -> LegacyClosure:
    """Refuse legacy calls of the cohort's robots from now on, unless v2 is refused. Raises AlreadyClosed."""
    try:
        with transaction.atomic():
            closure = LegacyClosure.objects.create(**cohort._asdict(), reason=reason, closed_by=by, closed_at=at)
    except IntegrityError as error:
        if "one_closure_a_cohort" not in str(error):
            raise
        raise AlreadyClosed(str(cohort)) from error
    sentence = f"closed the legacy path for robots {cohort}: {reason}"
    tell(by, "legacy_path.closed", sentence, **cohort._asdict(), reason=reason)
    return closure


@transaction.atomic
def open_again(closure: LegacyClosure, *, by: str, at: datetime) -> LegacyClosure:
    """Take the cohort's legacy calls again. Safe to call twice."""
    closure = LegacyClosure.objects.select_for_update().get(pk=closure.pk)
    if closure.open(by, at):
        closure.save(update_fields=["opened_at", "opened_by"])
        tell(by, "legacy_path.opened", f"opened the legacy path for {closure}", **closure.cohort._asdict())
    return closure
