"""`manage.py keep_operation`: days of signals to come made, and what was kept long enough dropped; says what it did."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from heartbeat.errors import HistoryBusy
from heartbeat.history.keeping import keeper
from teleop import keeping


class Command(BaseCommand):
    help = "Make the days of signals to come, drop signals, measurements and sessions that were kept long enough."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with keeper() as connection:
                kept = keeping.keep(connection, datetime.now(UTC))
        except HistoryBusy as busy:
            raise CommandError(str(busy)) from busy
        self.stdout.write(f"days made: {kept.days_made}")
        self.stdout.write(f"days dropped: {', '.join(kept.days_dropped) or 'none'}")
        self.stdout.write(f"sessions dropped: {kept.sessions_dropped:,}")
        for sentence in kept.stayed:
            self.stderr.write(sentence)
