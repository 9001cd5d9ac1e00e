"""`manage.py correct_clock --began TIME`: after the server's clock was ahead, put right what it stamped."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime

from heartbeat.errors import ClockNotCorrected, HistoryBusy
from heartbeat.history import keeping
from heartbeat.history.correcting import correct


class Command(BaseCommand):
    help = "Set heartbeats of the future, and the robots' state, back to the time at which the server's clock jumped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--began", required=True, help="when the clock jumped, as 2026-11-24T09:00:00Z")

    def handle(self, *args: Any, **options: Any) -> None:
        began = _time(options["began"])
        try:
            with keeping.keeper() as connection:
                done = correct(connection, datetime.now(UTC), began)
        except (ClockNotCorrected, HistoryBusy) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{done.heartbeats:,} heartbeats and {done.robots:,} robots set back by {done.offset}")
        self.stdout.write("Now restart ingest: it stamps no time before its latest one.")


def _time(told: str) -> datetime:
    try:
        began = parse_datetime(told)
    except ValueError:
        began = None
    if began is None or began.tzinfo is None:
        raise CommandError(f"--began {told}: give a time with its zone, as 2026-11-24T09:00:00Z")
    return began
