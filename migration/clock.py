"""The one clock. `MIGRATION_TIME_SCALE` shortens phases and windows, never evidence (DESIGN.md, invariant 10)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Clock:
    """Tells the time, and how long a planned time lasts at this scale."""

    scale: float = 1.0

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)

    def scaled(self, planned: timedelta) -> timedelta:
        """A week of plan lasts a week divided by the scale."""
        return planned / self.scale


def system_clock() -> Clock:
    """The clock of this installation."""
    return Clock(scale=settings.MIGRATION_TIME_SCALE)
