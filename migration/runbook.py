"""What the runbook's commands share: one clear sentence for a wrong argument, exit 2, nothing changed."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

#: the arguments are wrong; nothing was tried
WRONG_ARGUMENT = 2
#: the arguments are right, but the step was refused or not confirmed
NOT_DONE = 1


class RunbookCommand(BaseCommand):
    """A command that operators type under pressure. It must not ask the database before it acts."""

    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """A parser that answers a wrong argument with one sentence instead of a page of usage."""
        parser = super().create_parser(prog_name, subcommand, **options)
        parser.print_usage = lambda file=None: None  # type: ignore[method-assign]
        return parser


def wrong(sentence: str) -> CommandError:
    """The error for a wrong argument."""
    return CommandError(sentence, returncode=WRONG_ARGUMENT)


def not_done(sentence: str) -> CommandError:
    """The error for a step that was refused or not confirmed."""
    return CommandError(sentence, returncode=NOT_DONE)
