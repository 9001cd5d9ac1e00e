"""Figures as operators read them: units after a no-break space, `–` for what was never measured, UTC.

Every function takes None for "not measured" and never turns it into 0.
"""

import json
from datetime import UTC, datetime
from typing import Any

NB = "\u00a0"
NEVER = "–"

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def asked_percent(percent: float | None) -> str:
    """A share that somebody asked for or acknowledged, no decimals: `10 %`."""
    return NEVER if percent is None else f"{percent:.0f}{NB}%"


def observed_percent(percent: float | None) -> str:
    """A share that was observed, one decimal: `9.9 %`."""
    return NEVER if percent is None else f"{percent:.1f}{NB}%"


def fine_percent(percent: float | None) -> str:
    """A small rate or a completeness, two decimals: `0.02 %`. Never rounds something short of 100 up to it."""
    if percent is None:
        return NEVER
    if percent < 100 and f"{percent:.2f}" == "100.00":
        percent = 99.99
    return f"{percent:.2f}{NB}%"


def count(number: float | None) -> str:
    """A count with thousands: `10,000`."""
    return NEVER if number is None else f"{number:,.0f}"


def milliseconds(value: float | None) -> str:
    """A latency: `31 ms`, one decimal below ten."""
    if value is None:
        return NEVER
    return f"{value:.1f}{NB}ms" if value < 10 else f"{value:,.0f}{NB}ms"


def measured_seconds(value: float | None) -> str:
    """A duration that was measured: `0.41 s`; from a minute on two units."""
    if value is None:
        return NEVER
    return f"{value:.2f}{NB}s" if value < _MINUTE else age(value)


def span(value: float | None) -> str:
    """A budget or a limit, in the largest whole unit: `1 s`, `2 min`."""
    if value is None:
        return NEVER
    for unit, size in (("h", _HOUR), ("min", _MINUTE)):
        if value >= size and value % size == 0:
            return f"{value / size:.0f}{NB}{unit}"
    return f"{value:g}{NB}s"


def age(value: float | None) -> str:
    """An age: to 0.1 s below a minute, then two units: `0.6 s`, `4 min 05 s`, `2 h 06 min`, `4 d 21 h`."""
    if value is None:
        return NEVER
    value = max(0.0, value)
    if value < _MINUTE - 0.05:
        return f"{value:.1f}{NB}s"
    whole = round(value)
    if whole < _HOUR:
        return f"{whole // _MINUTE}{NB}min{NB}{whole % _MINUTE:02d}{NB}s"
    if whole < _DAY:
        return f"{whole // _HOUR}{NB}h{NB}{whole % _HOUR // _MINUTE:02d}{NB}min"
    return f"{whole // _DAY}{NB}d{NB}{whole % _DAY // _HOUR}{NB}h"


def parsed(moment: str | datetime) -> datetime:
    """An ISO 8601 text as an aware `datetime` in UTC."""
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return found.astimezone(UTC)


def stamp(moment: str | datetime | None) -> str:
    """A time: `24 Nov 03:12:44`, UTC; the place that shows it says so."""
    if moment is None:
        return NEVER
    at = parsed(moment)
    return f"{at.day}{NB}{at:%b}{NB}{at:%H:%M:%S}"


def clock_time(moment: str | datetime | None) -> str:
    """A time of today: `03:12:44`, UTC."""
    return NEVER if moment is None else f"{parsed(moment):%H:%M:%S}"


def since(moment: str | datetime | None, now: datetime) -> str:
    """How long ago: `6 min 02 s ago`."""
    return NEVER if moment is None else f"{age((now - parsed(moment)).total_seconds())} ago"


def progress(elapsed_seconds: float, duration_seconds: float) -> str:
    """How far a phase is: `day 5 of 7`, or in smaller units where phases are short."""
    if duration_seconds >= 2 * _DAY:
        return f"day {int(elapsed_seconds // _DAY) + 1} of {duration_seconds / _DAY:.0f}"
    return f"{age(elapsed_seconds)} of {age(duration_seconds)}"


def words(name: str) -> str:
    """A name of code as words: `owner_slow` → `Owner slow`."""
    said = name.replace("_", " ")
    return said[:1].upper() + said[1:]


def json_words(value: Any) -> str:
    """A field's value as its system answers it: JSON on one line, cut after 200 characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:199]}…"
