"""`manage.py ab_test --iterations 1000 --report FILE.html`: do both systems answer alike, and as fast?"""

import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from migration.rules.sequential import Verdict
from migration.runbook import RunbookCommand, not_done, wrong
from migration.validation.ab import report, testing
from migration.validation.ab.scratch import Scratch
from migration.validation.reading import Unreadable

#: not everything could be compared
INCONCLUSIVE = 3
UNREADABLE = 4


class Command(RunbookCommand):
    help = (
        "Ask both systems the same and compare bodies and latencies. Calls with effects go to scratch copies alone. "
        "Exit codes: 0 alike, 1 not alike, 2 wrong argument, 3 inconclusive, 4 a system could not be asked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--iterations", type=int, default=1000, help="calls without effects on each system")
        parser.add_argument("--report", type=Path, metavar="FILE.html", help="write the report to FILE.html")
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
        parser.add_argument("--legacy", default="", metavar="URL", help="default: LEGACY_URL")
        parser.add_argument("--new", default="", metavar="URL", help="default: the own door")
        parser.add_argument("--scratch-legacy", default="", metavar="URL", help="a copy of legacy that may be changed")
        parser.add_argument("--scratch-new", default="", metavar="URL", help="a copy of new that may be changed")
        parser.add_argument("--seed", type=int, help="draw the same calls as an earlier test")

    def handle(self, *args: Any, iterations: int, seed: int | None, **options: Any) -> None:
        if iterations < 1:
            raise wrong(f"--iterations is {iterations}: ask at least one call")
        for path in (options["report"], options["json"]):
            if path and not path.resolve().parent.is_dir():
                raise wrong(f"{path} cannot be written: there is no directory {path.resolve().parent}")
        legacy = options["legacy"] or settings.LEGACY_URL
        new = options["new"] or f"http://127.0.0.1:{settings.OWN_DOOR_PORT}"
        ours = settings.INGEST_PORT, settings.SITE_PORT, settings.OWN_DOOR_PORT, settings.ROBOTS_DOOR_PORT
        live = [legacy, new, settings.LEGACY_URL, *(f"http://127.0.0.1:{port}" for port in ours)]
        for url in filter(None, (options["scratch_legacy"], options["scratch_new"])):
            if _places(url) & {place for each in live for place in _places(each)}:
                raise wrong(f"{url} is a live system: calls with effects need a copy")
        scratch = Scratch(options["scratch_legacy"], options["scratch_new"])
        try:
            result = testing.run(legacy, new, iterations=iterations, scratch=scratch, seed=seed)
        except Unreadable as error:
            raise CommandError(str(error), returncode=UNREADABLE) from error
        if options["report"]:
            options["report"].write_text(report.html(result))
        if options["json"]:
            options["json"].write_text(json.dumps(report.as_json(result), indent=1) + "\n")
        self._tell(result)

    def _tell(self, result: testing.Result) -> None:
        for part in result.parts:
            said = part.not_run or (
                f"{part.calls:,} calls, {len(part.failures):,} of another status, "
                f"{len(part.different):,} fields different"
            )
            self.stdout.write(f"{part.name}: {part.verdict}: {said}")
            for call, one in part.different[:10]:
                self.stdout.write(f"  {call} {one.path}: legacy {one.legacy[:80]}, new {one.new[:80]}")
            for failure in part.failures[:10]:
                self.stdout.write(f"  {failure}")
        self.stdout.write(f"Latency: {result.latency.verdict}: {result.latency.sentence}")
        if result.verdict is Verdict.FAIL:
            raise not_done("the systems do not answer alike")
        if result.verdict is Verdict.INCONCLUSIVE:
            raise CommandError("inconclusive: not everything could be compared", returncode=INCONCLUSIVE)
        self.stdout.write("Both systems answer alike.")


def _places(url: str) -> set[tuple[str, int]]:
    """Every address and port that a URL may mean: `localhost` and 127.0.0.1 are one place."""
    where = urlsplit(url)
    try:
        found = socket.getaddrinfo(where.hostname, where.port or 80, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {(str(address[0]), int(address[1])) for *_, address in found}
