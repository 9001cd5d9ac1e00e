"""Opening and closing alerts."""

from collections.abc import Mapping
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


def tell_only(prefix: str, sentences: Mapping[str, str], *, severity: str, at: datetime) -> None:
    """Have exactly these alerts open among those whose name begins with `prefix`: what follows it → sentence."""
    for name, sentence in sentences.items():
        tell(f"{prefix}{name}", sentence, severity=severity, at=at)
    for alert in Alert.objects.filter(name__startswith=prefix, closed_at=None):
        if alert.name.removeprefix(prefix) not in sentences:
            is_over(alert.name, at=at)


def is_over(name: str, *, at: datetime) -> None:
    """Close the alert if it is open."""
    if Alert.objects.filter(name=name, closed_at=None).update(closed_at=at):
        log.info("alert.closed", name=name)
