"""The time at which a call is said to have been received: it rises, whatever the clock does, but for a wrong clock."""

from datetime import datetime, timedelta

TICK = timedelta(microseconds=1)
#: a clock set back by less was corrected a little (NTP); by more, it was wrong, and its time is not to be kept up
MOST_SET_BACK = timedelta(minutes=1)


def stamp_after(latest: datetime, now: datetime) -> datetime:
    """The stamp that follows `latest` at `now`: later than it, unless the clock was set back by more than a minute."""
    if now > latest or latest - now > MOST_SET_BACK:
        return now
    return latest + TICK
