"""`manage.py universal_rollback <current_phase|PHASE|emergency|data_corruption> "reason" [true|--yes]`."""

import sys
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandParser
from django.db import Error as DatabaseError

from migration import restoring, rolling_back
from migration.actors import Actor
from migration.errors import MissingReason, Refused
from migration.rules.phases import UnknownPhase, phase_of, rollback_target
from migration.runbook import RunbookCommand, not_done, wrong

WORDS = ("current_phase", "emergency", "data_corruption")


class Command(RunbookCommand):
    help = "Take traffic back. An emergency needs only this disk and the proxies: no database, Redis, Celery or site."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "what", help="current_phase, emergency, data_corruption, or the phase to roll back (slug or number)"
        )
        parser.add_argument("reason", help="goes into the audit log")
        parser.add_argument("confirmed", nargs="?", choices=["true"], help="as old runbooks confirm")
        parser.add_argument(
            "--until",
            type=datetime.fromisoformat,
            help="after data_corruption: restore from the archive as of this moment (ISO 8601), not from the log",
        )
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, what: str, reason: str, confirmed: str | None, yes: bool, **options: Any) -> None:
        if not reason.strip():
            raise wrong("a rollback needs a reason: say why, in a few words")
        target = self._target(what)
        if not (yes or confirmed) and not self._agreed(what):
            raise wrong("not confirmed: add --yes")
        try:
            record = rolling_back.roll_back(target, reason=reason, actor=Actor.on_this_host())
        except (Refused, MissingReason) as error:
            raise not_done(str(error)) from error
        took = f"{record.seconds:.2f} s" if record.seconds is not None else "not confirmed"
        budget = f", promised {record.budget_seconds:,.0f} s" if record.budget_seconds else ""
        self.stdout.write(f"{record.from_percent} → {record.to_percent} %: {record.state} in {took} (ours 1 s{budget})")
        for late in record.late:
            self.stderr.write(f"late: {late}")
        if not rolling_back.record_now():
            self.stdout.write("The database cannot be reached; the record waits on disk and is stored when it is back.")
        if record.state != rolling_back.OBSERVED:
            raise not_done(f"rollback {record.state}: {'; '.join(record.late)}")
        if target == "data_corruption":
            self._restore(reason, options["until"])

    def _restore(self, reason: str, until: datetime | None) -> None:
        """Restore here and now: traffic is safe on legacy by then, whatever becomes of this."""
        try:
            asked = restoring.ask(actor=Actor.on_this_host(), reason=reason, until=until and _aware(until))
            restore = restoring.run(asked.pk)
        except (Refused, DatabaseError) as error:
            raise not_done(f"traffic is on legacy, but nothing was restored: {error}") from error
        for step in restore.steps:
            self.stdout.write(f"{step['seconds']:8.2f} s  {step['step']}")
        if restore.failure:
            raise not_done(f"traffic is on legacy, but the restore failed: {restore.failure}")
        self.stdout.write(f"Restored from {restore.get_source_display()} and validated.")

    def _target(self, what: str) -> str:
        if what == "current_phase":
            return "previous"
        if what in WORDS:
            return what
        try:
            phase = phase_of(what)
        except UnknownPhase as error:
            raise wrong(f"{error}, or {', '.join(WORDS)}") from error
        goes_to = rollback_target(phase)
        if goes_to is None:
            raise wrong(f"{phase.name} has nothing to go back to")
        return goes_to.slug

    def _agreed(self, what: str) -> bool:
        if not sys.stdin.isatty():
            return False
        return input(f"Roll back ({what})? Type yes: ").strip().lower() == "yes"


def _aware(moment: datetime) -> datetime:
    """A moment without a zone is meant in UTC, as every screen shows it."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
