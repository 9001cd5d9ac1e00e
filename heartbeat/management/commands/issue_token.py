"""`manage.py issue_token ROBOT_ID`: give a robot a token."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from heartbeat.access import robot_tokens
from heartbeat.access.errors import Refused
from heartbeat.commanding import add_robot_options, robot_options
from heartbeat.rules.identity import why_no_bucket
from heartbeat.this_host import on_this_host


class Command(BaseCommand):
    help = "Give a robot a token, entering it if it was never heard. The token is printed this once, alone on a line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("robot_id")
        parser.add_argument("--days", type=float, help="how long it is good; without it, until it is revoked")
        add_robot_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        robot_id, now = options["robot_id"], timezone.now()
        if reason := why_no_bucket(robot_id):
            raise CommandError(f"robot_id: {reason}")
        expires_at = None if options["days"] is None else now + timedelta(days=options["days"])
        try:
            _, token = robot_tokens.issue(
                robot_id, by=on_this_host(), at=now, expires_at=expires_at, **robot_options(options)
            )
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(token)
