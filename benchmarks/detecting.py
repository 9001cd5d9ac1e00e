"""Delay and false alarms of the watchdog's rules over simulated traffic: looks of a second, failures at random.

Baseline: the window rule alone, as it was before the change detector.
"""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from migration.rules.detecting import Detector, Suspicion
from migration.rules.watching import Action, Matrix, Seen, Window, decide

WINDOW_LOOKS = 3
RATES = (20, 200, 1_000)
SICK = (0.015, 0.02, 0.03, 0.05)
HEALTHY = (0.0001, 0.001, 0.0025)
RUNS = 40
GIVE_UP_SECONDS = 600
HEALTHY_SECONDS = 7_200
NEVER = Detector(threshold=float("inf"))


@dataclass(frozen=True, slots=True)
class Tabulated:
    """One row: at this traffic and share of failures, what each way of looking did."""

    requests_per_second: int
    share: float
    #: seconds until the rollback: median and worst of the runs; None where some run never noticed
    median_s: float | None
    worst_s: float | None
    baseline_median_s: float | None
    baseline_missed: int


def looks(chance: random.Random, rate: int, share: float) -> Iterator[tuple[int, int]]:
    """Requests and failures of one second after another."""
    while True:
        yield rate, sum(chance.random() < share for _ in range(rate))


def seconds_until_rollback(seen: Iterator[tuple[int, int]], matrix: Matrix, limit: int) -> int | None:
    """How many looks until the matrix takes traffic back; None if it does not within the limit."""
    window: deque[tuple[int, int]] = deque(maxlen=WINDOW_LOOKS)
    suspicion, above = Suspicion(), 0
    for second in range(1, limit + 1):
        requests, errors = next(seen)
        window.append((requests, errors))
        suspicion = suspicion.after(requests, errors, matrix.detector)
        new = Window(sum(each[0] for each in window), sum(each[1] for each in window), 10.0)
        above = above + 1 if new.error_share > matrix.rollback_share else 0
        legacy = Window(new.requests, 0, 10.0)
        decision = decide(Seen(new, legacy, in_play=True, looks_above=above, suspicion=suspicion), matrix)
        if decision.action in (Action.PREVIOUS, Action.EMERGENCY):
            return second
    return None


def delays() -> list[Tabulated]:
    """Seconds until a sick system is noticed, by traffic and share."""
    rows = []
    for rate in RATES:
        for share in SICK:
            found = [_delay(run, rate, share, Matrix()) for run in range(RUNS)]
            before = [_delay(run, rate, share, Matrix(detector=NEVER)) for run in range(RUNS)]
            noticed, earlier = [s for s in found if s], [s for s in before if s]
            rows.append(
                Tabulated(
                    rate,
                    share,
                    _median(noticed) if len(noticed) == RUNS else None,
                    max(noticed) if len(noticed) == RUNS else None,
                    _median(earlier) if len(earlier) == RUNS else None,
                    RUNS - len(earlier),
                )
            )
    return rows


def false_alarms() -> list[tuple[int, float, int, int]]:
    """False alarms in two simulated hours of a healthy system: (traffic, share, with the detector, baseline)."""
    rows = []
    for rate in RATES:
        for share in HEALTHY:
            rows.append((rate, share, _alarms(rate, share, Matrix()), _alarms(rate, share, Matrix(detector=NEVER))))
    return rows


def _delay(run: int, rate: int, share: float, matrix: Matrix) -> int | None:
    return seconds_until_rollback(looks(random.Random(run), rate, share), matrix, GIVE_UP_SECONDS)


def _alarms(rate: int, share: float, matrix: Matrix) -> int:
    seen, left, alarms = looks(random.Random(rate), rate, share), HEALTHY_SECONDS, 0
    while left > 0 and (after := seconds_until_rollback(seen, matrix, left)):
        alarms, left = alarms + 1, left - after
    return alarms


def _median(values: list[int]) -> float | None:
    ordered = sorted(values)
    return float(ordered[len(ordered) // 2]) if ordered else None
