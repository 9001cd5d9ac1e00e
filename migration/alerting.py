"""Opening and closing alerts."""

from collections.abc import Mapping
from datetime import datetime

import structlog

from migration.models import Alert
from migration.rules.alerting import Firing

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
            "group": name.split(maxsplit=1)[0],
        },
    )
    if opened:
        log.warning("alert.opened", name=name, severity=severity, sentence=alert.sentence)


def tell_of(firing: Firing, *, at: datetime, outcome: str = "") -> Alert:
    """Open the alert that Alertmanager sent, or bring the open one up to date."""
    said = {
        "sentence": firing.sentence,
        "severity": firing.severity,
        "labels": dict(firing.labels),
        "runbook": firing.annotations.get("runbook_url", ""),
        **({"outcome": outcome} if outcome else {}),
    }
    new = {
        "source": Alert.Source.ALERTMANAGER,
        "group": firing.group or firing.name,
        "opened_at": at,
        "began_at": firing.began_at,
    }
    alert, opened = Alert.objects.update_or_create(
        name=firing.key, closed_at=None, defaults=said, create_defaults={**said, **new}
    )
    if opened:
        log.warning("alert.opened", name=firing.key, severity=firing.severity, sentence=alert.sentence)
    return alert


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
