"""`manage.py audit_export [--format jsonl|csv]`: the audit log as text, in order, ready to be proven elsewhere."""

from typing import Any

from django.core.management.base import CommandParser
from django.utils.dateparse import parse_datetime

from migration.auditing.exporting import FORMATS, exported
from migration.auditing.querying import narrowed
from migration.models import AuditEntry
from migration.runbook import RunbookCommand, wrong


class Command(RunbookCommand):
    help = "Write the audit log to standard output, the oldest entry first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=FORMATS, default="jsonl")
        parser.add_argument("--actor", help="only what this one did")
        parser.add_argument("--action", help="only actions that begin so")
        parser.add_argument("--since", help="ISO 8601, with an offset")
        parser.add_argument("--until", help="ISO 8601, with an offset")

    def handle(self, *args: Any, **options: Any) -> None:
        asked = {**options, "since": self._moment(options, "since"), "until": self._moment(options, "until")}
        for piece in exported(narrowed(AuditEntry.objects.all(), asked), options["format"]):
            self.stdout.write(piece, ending="")

    def _moment(self, options: dict[str, Any], name: str) -> Any:
        text = options[name]
        if text is None:
            return None
        try:
            moment = parse_datetime(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise wrong(f"--{name} is {text!r}: write a time with its offset, such as 2026-11-24T09:00:00+00:00")
        return moment
