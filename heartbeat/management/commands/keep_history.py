"""`manage.py keep_history`: partitions ahead, rollups, and what has served its time dropped; says what it did."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from heartbeat.errors import HistoryBusy
from heartbeat.history import keeping


class Command(BaseCommand):
    help = "Make the partitions to come, roll up closed minutes, drop days and months that were kept long enough."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with keeping.keeper() as connection:
                kept = keeping.keep(connection, datetime.now(UTC))
        except HistoryBusy as busy:
            raise CommandError(str(busy)) from busy
        self.stdout.write(f"partitions made: {_listed(kept.days_made)}")
        self.stdout.write(f"days that are over, to be vacuumed: {_listed(kept.days_over)}")
        self.stdout.write(f"moved out of the default partition: {kept.rows_moved:,} heartbeats")
        self.stdout.write(
            f"rolled up: {kept.heartbeats_rolled_up:,} heartbeats into {kept.minutes_rolled_up:,} minutes"
        )
        self.stdout.write(f"days dropped: {_listed(kept.days_dropped)}")
        self.stdout.write(f"months of rollups dropped: {_listed(kept.months_dropped)}")
        for sentence in kept.stayed:
            self.stderr.write(sentence)
        self.stdout.write(f"{kept.seconds:.1f} s")


def _listed(dates: list[Any]) -> str:
    return ", ".join(str(each) for each in dates) or "none"
