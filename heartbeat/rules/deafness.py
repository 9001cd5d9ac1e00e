"""Silence counts only while somebody listened: what a time in which nothing could be stored excuses."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

#: a robot whose call found nobody may take as long again to come back: retries back off, the next turn is due later
EXCUSED_PER_DEAF_SECOND = 2


@dataclass(frozen=True, slots=True, order=True)
class Deaf:
    """A time in which no heartbeat could be stored."""

    began_at: datetime
    ended_at: datetime


def counted_from(last_seen_at: datetime, deaf: Sequence[Deaf]) -> datetime:
    """From when on the silence of a robot counts: `last_seen_at`, moved forward by the deaf times after it.

    `deaf` is in order and does not overlap. Each excuses twice its length, and never what comes after its end: a long
    one starts the robot's deadlines anew; short ones in a row (a service that dies every 20 s) postpone a dead robot's
    deadline, yet cannot do so for ever.
    """
    counted = last_seen_at
    for one in deaf:
        if one.ended_at > counted:
            excused = (one.ended_at - max(one.began_at, counted)) * EXCUSED_PER_DEAF_SECOND
            counted = min(one.ended_at, counted + excused)
    return counted


def merged(deaf: Sequence[Deaf]) -> list[Deaf]:
    """Deaf times in order and without overlaps; a clock that was set back can make some that overlap."""
    whole: list[Deaf] = []
    for one in sorted(deaf):
        if whole and one.began_at <= whole[-1].ended_at:
            whole[-1] = Deaf(whole[-1].began_at, max(whole[-1].ended_at, one.ended_at))
        else:
            whole.append(one)
    return whole
