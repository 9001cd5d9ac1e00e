"""`manage.py notifier`: a supervised process that tells people what happened."""

from typing import Any

from migration import looping
from migration.notifying.running import TICK_SECONDS, Notifier
from migration.runbook import RunbookCommand


class Command(RunbookCommand):
    help = (
        "Collect what happened, escalate alerts, deliver messages until they are taken. Runs until it is told to stop."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        looping.run("notifier", Notifier().tick, seconds=TICK_SECONDS)
