"""Taking what Alertmanager sends: acting first, then the pipeline's proof, then the alerts as rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from django.conf import settings

from migration import alerting, rolling_back
from migration.alerts import acting, pipeline
from migration.clock import system_clock
from migration.rules.alerting import Firing, proves_pipeline

log = structlog.get_logger(__name__)

#: an alert that fires for longer than this is acted on once more
_NOTES_KEPT = timedelta(days=90)


@dataclass(slots=True)
class Received:
    """What became of one message."""

    firing: int = 0
    resolved: int = 0
    proves_pipeline: bool = False
    #: what was done by itself, a sentence each
    outcomes: list[str] = field(default_factory=list)


def receive(firings: Sequence[Firing]) -> Received:
    """Act on the alerts and keep them. Safe to repeat, as Alertmanager does until it is answered 200.

    The rollback comes first and needs no database; then this raises what the database raises.
    """
    received = Received()
    outcomes = {firing.key: acting.roll_back_for(firing) for firing in firings if firing.wants_rollback}
    received.outcomes = list(outcomes.values())
    now = system_clock().now()
    if outcomes:
        rolling_back.record_now()
        acting.forget_before(now - _NOTES_KEPT)
    for firing in firings:
        if firing.name == settings.ALERT_PIPELINE_ALERT:
            if proves_pipeline(firing, settings.ALERT_PIPELINE_ALERT):
                pipeline.prove(firing.evaluated_at)
                received.proves_pipeline = True
        elif firing.is_firing:
            alerting.tell_of(firing, at=now, outcome=outcomes.get(firing.key, ""))
            received.firing += 1
        else:
            alerting.is_over(firing.key, at=now)
            received.resolved += 1
    log.info(
        "alerts.received", firing=received.firing, resolved=received.resolved, proves_pipeline=received.proves_pipeline
    )
    return received
