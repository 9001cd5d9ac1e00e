"""`manage.py revoke_token lkr_5f3aB81c`: make a token of any sort worthless, by its prefix or the whole of it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from heartbeat.access import enrolment_tokens, operator_tokens, robot_tokens
from heartbeat.models import EnrolmentToken, OperatorToken, RobotToken
from heartbeat.rules.tokens import SHOWN_CHARACTERS, Sort, prefix_of
from heartbeat.this_host import on_this_host

_SORTS = {
    Sort.ROBOT: (RobotToken, robot_tokens.revoke),
    Sort.ENROLMENT: (EnrolmentToken, enrolment_tokens.revoke),
    Sort.OPERATOR: (OperatorToken, operator_tokens.revoke),
}


class Command(BaseCommand):
    help = "Revoke a token: of a robot (lkr_), for enrolment (lke_), of an operator (lko_)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("token", help=f"its first {SHOWN_CHARACTERS} characters, as shown, or all of it")

    def handle(self, *args: Any, **options: Any) -> None:
        prefix, now = prefix_of(options["token"]), timezone.now()
        sort = next((sort for sort in Sort if prefix.startswith(sort)), None)
        if sort is None or len(prefix) < SHOWN_CHARACTERS:
            raise CommandError(f"a token begins with {', '.join(Sort)} and {SHOWN_CHARACTERS - 4} more characters")
        model, revoke = _SORTS[sort]
        found = list(model.objects.filter(prefix=prefix))
        if not found:
            raise CommandError(f"no token begins with {prefix}")
        # Two tokens with one prefix are one chance in 2 ** 48; both are revoked then, which is the safe side.
        for token in found:
            revoke(token, by=on_this_host(), at=now)
        self.stdout.write(f"revoked {prefix}…")
