"""`manage.py issue_operator_token USER --scope robots:read`: make a token for somebody's scripts."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from heartbeat.access import operator_tokens
from heartbeat.rules.scopes import SCOPES
from heartbeat.this_host import on_this_host


class Command(BaseCommand):
    help = "Make a token that acts for a user within scopes. It is printed this once, alone on a line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user")
        parser.add_argument("--scope", action="append", required=True, choices=list(SCOPES), dest="scopes")
        parser.add_argument("--name", default="made on the command line", help="what it is for")
        parser.add_argument("--days", type=float, default=90.0, help="how long it is good (default: 90)")

    def handle(self, *args: Any, **options: Any) -> None:
        user, now = User.objects.filter(username=options["user"]).first(), timezone.now()
        if user is None:
            raise CommandError(f"nobody is called {options['user']}")
        expires_at = now + timedelta(days=options["days"])
        _, token = operator_tokens.issue(
            user, name=options["name"], scopes=options["scopes"], expires_at=expires_at, by=on_this_host(), at=now
        )
        self.stdout.write(token)
