"""Asking a worker for a backup: it takes as long as the database is large, which no page waits for."""

from collections.abc import Callable
from typing import Any

from kombu.exceptions import OperationalError

from migration import audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import Refused
from migration.models import Backup


def make(kind: str, reason: str, *, actor: Actor) -> str:
    """Have a backup made. Returns what was asked, for the person; raises `Refused` where no worker can be told."""
    from migration.tasks import back_up  # the task imports the use cases

    sentence = f"asked for a backup of the {Backup.Kind(kind).label}: {reason}"
    _tell(back_up.delay, kind, reason, actor.name)
    audit.record(actor, "backup_asked", sentence, at=system_clock().now(), detail={"kind": kind})
    return f"a backup of the {Backup.Kind(kind).label}, restored and compared"


def verify(backup: Backup, *, actor: Actor) -> str:
    """Have a backup read back again. Raises `Refused` for one that has no file, and where no worker can be told."""
    from migration.tasks import verify_backup

    if backup.state not in (Backup.State.MADE, Backup.State.VERIFIED):
        raise Refused(f"backup {backup.pk} is {backup.get_state_display()}: there is nothing to read back")
    _tell(verify_backup.delay, backup.pk, actor.name)
    sentence = f"asked to read backup {backup.pk} back again"
    audit.record(actor, "backup_asked", sentence, at=system_clock().now(), detail={"backup": backup.pk})
    return f"to read backup {backup.pk} back again"


def _tell(delay: Callable[..., Any], *arguments: Any) -> None:
    try:
        delay(*arguments)
    except OperationalError as error:
        raise Refused(
            f"no worker can be told ({error}); manage.py back_up on a host of the control plane does it at once"
        ) from error
