"""How long history is kept: which days and months have served their time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

#: a first heartbeat so long after the one before it may come from a clock that is wrong
JUMP = timedelta(days=7)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A day or a month of history: `start` inclusive, `end` exclusive, UTC; `heard` when it holds any row."""

    start: date
    end: date
    heard: bool

    @property
    def days(self) -> int:
        """How long it is."""
        return (self.end - self.start).days


def expired(spans: Sequence[Span], today: date, keep_days: int) -> list[Span]:
    """The spans that may go, oldest first: more than `keep_days` old, by the calendar *and* by days lived since.

    The calendar alone would drop everything on the day a server's clock says 2037. So as many days in which something
    was heard must lie after what goes; a day that has only just jumped ahead of all others does not count yet.
    """
    limit = today - timedelta(days=keep_days)
    lived = _lived(spans, today)
    return sorted(
        span
        for span in spans
        if span.end <= limit and sum(later.days for later in lived if later.start > span.start) > keep_days
    )


def _lived(spans: Sequence[Span], today: date) -> list[Span]:
    """Spans in which something was heard, up to today; the newest only when it follows the one before it closely."""
    heard = sorted(span for span in spans if span.heard and span.start <= today)
    followed = [earlier for earlier, _ in pairwise(heard)]
    if heard and (not followed or heard[-1].start - followed[-1].end <= JUMP):
        followed.append(heard[-1])
    return followed


def day_span(day: date, *, heard: bool) -> Span:
    """The span of one day."""
    return Span(day, day + timedelta(days=1), heard)


def month_span(month: date, *, heard: bool) -> Span:
    """The span of the month that `month` lies in."""
    start = month.replace(day=1)
    return Span(start, (start + timedelta(days=32)).replace(day=1), heard)
