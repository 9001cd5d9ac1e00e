"""Delay and false alarms of the watchdog's rules over simulated traffic: looks of a second, failures at random.

Baselines: the window rule alone, as it was before the change detector; and an alert as Prometheus would have it, errors
of the last minute against the same limit, asked every 10 and every 30 s.
"""

import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from benchmarks import reporting
from migration.rules.detecting import Detector, Suspicion
from migration.rules.watching import MOVES, Matrix, Seen, Window, decide

WINDOW_LOOKS = 3
RATES = (20, 200, 1_000)
SICK = (0.015, 0.02, 0.03, 0.05)
HEALTHY = (0.0001, 0.001, 0.0025)
RUNS = 40
GIVE_UP_SECONDS = 600
HEALTHY_SECONDS = 7_200
NEVER = Detector(threshold=float("inf"))
#: how often a plain alert asks, and how far it looks back, seconds
ALERT_EVERY = (10, 30)
MINUTE = 60


class Way(Protocol):
    """A way of looking: told of one second after another, it says when it takes traffic back, or fires."""

    def look(self, requests: int, errors: int) -> bool:
        """Whether it does after this second."""


@dataclass(slots=True)
class ByMatrix:
    """The watchdog's own rules."""

    matrix: Matrix
    _window: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=WINDOW_LOOKS))
    _suspicion: Suspicion = field(default_factory=Suspicion)
    _above: int = 0

    def look(self, requests: int, errors: int) -> bool:
        """As `Watchdog.look` asks them."""
        self._window.append((requests, errors))
        self._suspicion = self._suspicion.after(requests, errors, self.matrix.detector)
        new = Window(sum(each[0] for each in self._window), sum(each[1] for each in self._window), 10.0)
        self._above = self._above + 1 if new.error_share > self.matrix.rollback_share else 0
        legacy = Window(new.requests, 0, 10.0)
        seen = Seen(new, legacy, in_play=True, looks_above=self._above, suspicion=self._suspicion)
        return decide(seen, self.matrix).action in MOVES


@dataclass(slots=True)
class ByAlert:
    """Errors of the last minute against a limit, asked now and then. The minute before was a healthy one."""

    every: int
    limit: float = Matrix().rollback_share
    _second: int = 0
    _minute: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=MINUTE))

    def look(self, requests: int, errors: int) -> bool:
        """Keeps the second, and fires if it is time to ask and there are too many."""
        while len(self._minute) < MINUTE:
            self._minute.append((requests, 0))
        self._minute.append((requests, errors))
        self._second += 1
        bad = sum(each[1] for each in self._minute)
        return self._second % self.every == 0 and bad > self.limit * sum(each[0] for each in self._minute)


WAYS: dict[str, Callable[[], Way]] = {
    "watchdog": lambda: ByMatrix(Matrix()),
    "window alone": lambda: ByMatrix(Matrix(detector=NEVER)),
    **{f"alert every {every} s": lambda every=every: ByAlert(every) for every in ALERT_EVERY},
}


@dataclass(frozen=True, slots=True)
class Delay:
    """At this traffic and share of failures: seconds until each way noticed, of the runs that it did notice."""

    requests_per_second: int
    share: float
    median_s: dict[str, float | None]
    worst_s: dict[str, int | None]
    missed: dict[str, int]


@dataclass(frozen=True, slots=True)
class Alarms:
    """False alarms in two simulated hours of a healthy system, by way of looking."""

    requests_per_second: int
    share: float
    alarms: dict[str, int]


def looks(chance: random.Random, rate: int, share: float) -> Iterator[tuple[int, int]]:
    """Requests and failures of one second after another."""
    per_gap = 1 / math.log(1 - share)
    left = int(math.log(1 - chance.random()) * per_gap)
    while True:
        errors = 0
        while left < rate:
            errors, left = errors + 1, left + 1 + int(math.log(1 - chance.random()) * per_gap)
        left -= rate
        yield rate, errors


def noticed_after(seen: Iterator[tuple[int, int]], way: Way, limit: int) -> int | None:
    """How many seconds until it is noticed; None if it is not within the limit."""
    return next((second for second in range(1, limit + 1) if way.look(*next(seen))), None)


def delays() -> list[Delay]:
    """Seconds until a sick system is noticed, by traffic and share."""
    return [_delay(rate, share) for rate in RATES for share in SICK]


def false_alarms() -> list[Alarms]:
    """False alarms of a healthy system, by traffic and share."""
    return [
        Alarms(rate, share, {name: _alarms(rate, share, way) for name, way in WAYS.items()})
        for rate in RATES
        for share in HEALTHY
    ]


def delays_table(rows: Sequence[Delay]) -> str:
    """The delays as text."""
    head = ("requests/s", "errors", *(f"{name}: median, worst s (missed of {RUNS})" for name in WAYS))
    return reporting.table(
        [
            head,
            *(
                (
                    row.requests_per_second,
                    f"{row.share:.1%}",
                    *(f"{row.median_s[name]}, {row.worst_s[name]} ({row.missed[name]})" for name in WAYS),
                )
                for row in rows
            ),
        ]
    )


def alarms_table(rows: Sequence[Alarms]) -> str:
    """The false alarms as text."""
    head = ("requests/s", "errors", *(f"false alarms in 2 h: {name}" for name in WAYS))
    return reporting.table(
        [head, *((row.requests_per_second, f"{row.share:.2%}", *(row.alarms[name] for name in WAYS)) for row in rows)]
    )


def as_plain(rows: Sequence[Delay] | Sequence[Alarms]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(row) for row in rows]


def _delay(rate: int, share: float) -> Delay:
    found = {
        name: [noticed_after(looks(random.Random(run), rate, share), way(), GIVE_UP_SECONDS) for run in range(RUNS)]
        for name, way in WAYS.items()
    }
    seconds = {name: [took for took in each if took] for name, each in found.items()}
    return Delay(
        rate,
        share,
        {name: reporting.quantile(each, 0.5) for name, each in seconds.items()},
        {name: max(each, default=None) for name, each in seconds.items()},
        {name: RUNS - len(each) for name, each in seconds.items()},
    )


def _alarms(rate: int, share: float, way: Callable[[], Way]) -> int:
    seen, left, alarms = looks(random.Random(rate), rate, share), HEALTHY_SECONDS, 0
    while left > 0 and (after := noticed_after(seen, way(), left)):
        alarms, left = alarms + 1, left - after
    return alarms
