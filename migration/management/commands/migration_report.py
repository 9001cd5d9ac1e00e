"""`manage.py migration_report [--format text|json|html] [--output FILE]`: what the migration has come to."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from migration.reporting.rendering import FORMATS
from migration.reporting.report import report
from migration.runbook import RunbookCommand, not_done


class Command(RunbookCommand):
    help = "Every criterion of success with its measured figure, the phases, votes and rollbacks."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=list(FORMATS), default="text")
        parser.add_argument("--output", help="a file instead of standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        text = FORMATS[options["format"]](report())
        if options["output"] is None:
            self.stdout.write(text)
            return
        try:
            Path(options["output"]).write_text(text, encoding="utf-8")
        except OSError as error:
            raise not_done(f"{options['output']} cannot be written: {error.strerror}") from error
        self.stdout.write(f"written to {options['output']}")
