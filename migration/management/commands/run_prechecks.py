"""`manage.py run_prechecks [NAME…] [--json] [--list]`: run the checks before the migration, show the whole list."""

import json
from typing import Any

from django.core.management.base import CommandParser

from migration.actors import Actor
from migration.checklist import reading, running
from migration.checklist.registry import checks, refused_waivers
from migration.clock import system_clock
from migration.errors import Refused
from migration.rules.sequential import Verdict
from migration.runbook import RunbookCommand, not_done, wrong


class Command(RunbookCommand):
    help = "Run the checks before the migration, all of them or those that are named. Exit 0 only if all points hold."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="only these checks (--list shows them)")
        parser.add_argument("--json", action="store_true", dest="as_json", help="the list as JSON")
        parser.add_argument("--list", action="store_true", dest="listed", help="name the checks, run none")

    def handle(self, *args: Any, names: list[str], as_json: bool, listed: bool, **options: Any) -> None:
        if listed:
            for check in checks().values():
                self.stdout.write(f"{check.name:20} {check.title}")
            return
        try:
            running.run(names, actor=Actor.on_this_host())
        except Refused as error:
            raise wrong(str(error)) from error
        points = [point for point in reading.points(system_clock().now()) if not names or point.name in names]
        points = [point for point in points if not (names and point.is_signed_by_hand)]
        if as_json:
            self.stdout.write(json.dumps([reading.as_plain(point) for point in points], indent=1))
        else:
            for point in points:
                self._write(point)
        open_points = [point for point in points if point.verdict not in (Verdict.PASS, Verdict.WAIVED)]
        reasons = [*(f"{point.title}: {point.verdict}" for point in open_points), *refused_waivers()]
        if reasons:
            raise not_done(f"{len(points) - len(open_points)} of {len(points)} points hold; {'; '.join(reasons)}")
        if not as_json:
            self.stdout.write(f"{len(points)} of {len(points)} points hold.")

    def _write(self, point: reading.Point) -> None:
        self.stdout.write(f"{point.verdict:13} {point.title}: {point.sentence}")
        if point.verdict not in (Verdict.PASS, Verdict.WAIVED):
            self.stdout.write(f"{'':13} → {point.fix}")
