"""How much legacy is asked: a configured rate, and less when it slows down (gh-ost's throttle)."""

from dataclasses import dataclass

#: reading takes at most this share of legacy's time: one that answers in 0.5 s is asked every 2 s
SHARE = 0.25
#: replays slow down when an answer takes longer than this, seconds
SLOW_ANSWER_SECONDS = 0.25
#: the longest pause between two readings, seconds: a legacy that is back is noticed
LONGEST_PAUSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """What operators configured: readings every `interval_seconds`, at most `calls_per_second` of all calls."""

    interval_seconds: float = 0.5
    calls_per_second: float = 500.0
    batch_size: int = 500
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds until the next reading, calls a second for replays, and what holds sync back ("" for nothing)."""

    pause_seconds: float
    calls_per_second: float
    because: str


def pace(wishes: Wishes, reading_seconds: float | None, answer_seconds: float | None, silent: bool) -> Pace:
    """The pace after a reading that took `reading_seconds` and single answers of `answer_seconds` (None: no news)."""
    if wishes.paused:
        return Pace(LONGEST_PAUSE_SECONDS, 0.0, "paused by an operator")
    if silent:
        return Pace(max(1.0, wishes.interval_seconds), wishes.calls_per_second, "legacy does not answer")
    rate, because = wishes.calls_per_second, ""
    if answer_seconds is not None and answer_seconds > SLOW_ANSWER_SECONDS:
        rate = max(1.0, rate * SLOW_ANSWER_SECONDS / answer_seconds)
        because = (
            f"legacy takes {answer_seconds:.2f} s for an answer: {rate:.0f} of {wishes.calls_per_second:.0f} calls/s"
        )
    shortest = max(wishes.interval_seconds, 1.0 / wishes.calls_per_second)
    pause = shortest
    if reading_seconds is not None and reading_seconds / SHARE > shortest:
        pause = min(LONGEST_PAUSE_SECONDS, reading_seconds / SHARE)
        because = because or f"legacy takes {reading_seconds:.2f} s to list its rows: read every {pause:.1f} s"
    elif shortest > wishes.interval_seconds:
        because = because or f"the configured rate of {wishes.calls_per_second:g} calls/s"
    return Pace(pause, rate, because)
