"""`manage.py legacy_path close|open|list`: the legacy path of cohorts."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from heartbeat.access import legacy_path
from heartbeat.access.errors import Refused
from heartbeat.models import LegacyClosure
from heartbeat.rules.cohorts import Cohort
from heartbeat.rules.kind import LEKIWI, XLE
from heartbeat.this_host import on_this_host


class Command(BaseCommand):
    help = "Close the legacy path for a cohort, whose robots then have to speak v2; open it again; list closures."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        close = actions.add_parser("close", help="for robots of a kind, at a site, with a tag (all that is given)")
        close.add_argument("reason")
        close.add_argument("--kind", default="", choices=[LEKIWI, XLE])
        close.add_argument("--site", default="")
        close.add_argument("--tag", default="")
        again = actions.add_parser("open", help="by the number that `list` shows")
        again.add_argument("number", type=int)
        actions.add_parser("list", help="what is closed")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "close":
            self._close(options)
        elif options["action"] == "open":
            self._open(options["number"])
        else:
            for one in LegacyClosure.objects.filter(opened_at=None):
                self.stdout.write(f"{one.pk} {one}: {one.reason} ({one.closed_by}, {one.closed_at:%Y-%m-%d %H:%M} UTC)")

    def _close(self, options: dict[str, Any]) -> None:
        cohort = Cohort(options["kind"], options["site"], options["tag"])
        if not any(cohort):
            raise CommandError("name a kind, a site or a tag")
        try:
            closure = legacy_path.close(cohort, reason=options["reason"], by=on_this_host(), at=timezone.now())
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{closure.pk} {closure}")

    def _open(self, number: int) -> None:
        closure = LegacyClosure.objects.filter(pk=number).first()
        if closure is None:
            raise CommandError(f"there is no closure {number}")
        legacy_path.open_again(closure, by=on_this_host(), at=timezone.now())
        self.stdout.write(f"opened the legacy path for {closure}")
