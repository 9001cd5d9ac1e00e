"""What became of a backup, told to whoever must know."""

import structlog

from migration import alerting, audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.models import Alert, Backup

log = structlog.get_logger(__name__)

#: the name of the alert that a failure opens and the next success closes
ALERT = "backup"


def keep_record(backup: Backup, actor: Actor) -> None:
    """Tell the audit log, the alerts and the log what became of it."""
    now = system_clock().now()
    if backup.state == Backup.State.FAILED:
        sentence = f"backup {backup.pk} of the {backup.get_kind_display()} failed: {backup.failure}"
        alerting.tell(ALERT, sentence, severity=Alert.Severity.WARNING, at=now)
        log.error("backup.failed", backup=backup.pk, kind=backup.kind, failure=backup.failure)
    else:
        sentence = f"backup {backup.pk} of the {backup.get_kind_display()} was made and read back"
        alerting.is_over(ALERT, at=now)
        seconds = (now - backup.begun_at).total_seconds()
        log.info("backup.verified", backup=backup.pk, kind=backup.kind, bytes=backup.size_bytes, seconds=seconds)
    detail = {"backup": backup.pk, "why": backup.reason, "sha256": backup.sha256, "left_out": backup.left_out}
    audit.record(actor, "backup", sentence, at=now, detail=detail)
