"""Opening and closing alerts."""

from datetime import datetime

import structlog

from migration.models import Alert

log = structlog.get_logger(__name__)


def tell(name: str, sentence: str, *, severity: str, at: datetime) -> None:
    """Open the alert, or bring the open one up to date."""
    alert, opened = Alert.objects.update_or_create(
        name=name,
        closed_at=None,
        defaults={"sentence": sentence, "severity": severity},
        create_defaults={
            "sentence": sentence,
            "severity": severity,
            "opened_at": at,
        },
    )
    if opened:
        log.warning("alert.opened", name=name, severity=severity, sentence=alert.sentence)


def is_over(name: str, *, at: datetime) -> None:
    """Close the alert if it is open."""
    if Alert.objects.filter(name=name, closed_at=None).update(closed_at=at):
        log.info("alert.closed", name=name)
