"""`manage.py issue_enrolment_token --uses 50`: make a token with which robots enrol by themselves."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from heartbeat.access import enrolment_tokens
from heartbeat.commanding import add_robot_options, robot_options
from heartbeat.this_host import on_this_host


class Command(BaseCommand):
    help = "Make a token with which robots enrol by themselves. It is printed this once, alone on a line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--uses", type=int, required=True, help="how many robots may enrol with it")
        parser.add_argument("--days", type=float, default=7.0, help="how long it is good (default: 7)")
        parser.add_argument("--replaces", action="store_true", help="a robot that has a token may enrol again")
        parser.add_argument("--note", default="", help="what it is for")
        add_robot_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        _, token = enrolment_tokens.issue(
            uses=options["uses"],
            expires_at=now + timedelta(days=options["days"]),
            by=on_this_host(),
            at=now,
            note=options["note"],
            replaces=options["replaces"],
            **robot_options(options),
        )
        self.stdout.write(token)
