"""Freeze windows: when nothing moves forward. Going back is never frozen."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Freeze:
    """A window: once from `starts_at` to `ends_at`, or daily around `daily_at`, a site's change of activity (local)."""

    reason: str
    #: only steps that move a robot of this site are held; "" holds every step
    site: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    daily_at: time | None = None
    before: timedelta = timedelta(minutes=30)
    after: timedelta = timedelta(minutes=30)
    time_zone: str = "UTC"

    def until(self, now: datetime) -> datetime | None:
        """Return when the window that `now` lies in ends, or None outside one. The start belongs to it, the end not."""
        if self.daily_at is None:
            inside = self.starts_at is not None and self.ends_at is not None and self.starts_at <= now < self.ends_at
            return self.ends_at if inside else None
        zone = ZoneInfo(self.time_zone)
        today = now.astimezone(zone).date()
        # The margins may reach over midnight, so yesterday's and tomorrow's change count as well.
        for day in (today - timedelta(days=1), today, today + timedelta(days=1)):
            change = datetime.combine(day, self.daily_at, tzinfo=zone).astimezone(now.tzinfo)
            if change - self.before <= now < change + self.after:
                return change + self.after
        return None


def frozen(windows: Iterable[Freeze], now: datetime, sites: Iterable[str] = ()) -> list[str]:
    """Return why a step that moves robots of `sites` is frozen now, a sentence each; nothing when it is not."""
    moved = set(sites)
    found = []
    for window in windows:
        ends_at = window.until(now)
        if ends_at is not None and (not window.site or window.site in moved):
            where = f" at site {window.site}" if window.site else ""
            found.append(f"frozen{where} until {ends_at:%d %b %H:%M:%S} UTC: {window.reason}")
    return found
