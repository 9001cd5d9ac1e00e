"""What was found beside what was true: sessions, their edges, when they were known, and states in between."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from benchmarks.reporting import quantile
from simulator.operating.script import Script

#: around a true change nobody is asked for the state, and how densely else, seconds
WINDOW_SECONDS, EVERY_SECONDS = 0.5, 0.25


@dataclass(slots=True)
class Found:
    """A session as it was found. `begin_known`, `end_known`: when the system first said so for good."""

    begin: float
    end: float | None
    begin_known: float
    end_known: float | None
    driver: str


@dataclass(slots=True)
class Score:
    """Sums over all robots."""

    sessions: int = 0
    missed: int = 0
    invented: int = 0
    edges: list[float] = field(default_factory=list)
    known: list[float] = field(default_factory=list)
    asked: int = 0
    right: int = 0
    live_asked: int = 0
    live_right: int = 0
    unknown: int = 0
    legacy_asked: int = 0
    legacy_right: int = 0
    drivers_asked: int = 0
    drivers_right: int = 0
    wrong: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Score") -> None:
        """Add what another one counted."""
        for name in fields(self):
            mine, theirs = getattr(self, name.name), getattr(other, name.name)
            setattr(self, name.name, mine + theirs)

    def figures(self, robots: int) -> dict[str, Any]:
        """The keys of the report."""
        return {
            "robots": robots,
            "sessions": self.sessions,
            "missed": self.missed,
            "invented": self.invented,
            "edge_p99_s": _rounded(quantile(self.edges, 0.99)),
            "edge_worst_s": _rounded(max(self.edges, default=None)),
            "known_p99_s": _rounded(quantile(self.known, 0.99)),
            "known_p50_s": _rounded(quantile(self.known, 0.5)),
            "accuracy_percent": _percent(self.right, self.asked),
            "live_accuracy_percent": _percent(self.live_right, self.live_asked),
            "driver_percent": _percent(self.drivers_right, self.drivers_asked),
            "legacy_accuracy_percent": _percent(self.legacy_right, self.legacy_asked),
            "asked": self.asked,
        }


def score_robot(
    score: Score,
    script: Script,
    *,
    found: Sequence[Found],
    recorded: Sequence[tuple[float, str]],
    live: Sequence[tuple[float, str]],
    legacy: Sequence[tuple[float, bool]],
    duration: float,
) -> None:
    """Add one robot. `recorded` is what the history says of it now, `live` what was said at the time; since → state."""
    left = list(found)
    for true in script.sessions:
        score.sessions += 1
        mine = max(left, key=lambda each: _overlap(each, true.begin, true.end), default=None)
        if mine is None or _overlap(mine, true.begin, true.end) <= 0:
            score.missed += 1
            continue
        left.remove(mine)
        score.edges.append(abs(mine.begin - true.begin))
        score.known.append(mine.begin_known - true.begin)
        score.edges.append(abs(mine.end - true.end) if mine.end is not None else duration)
        score.known.append(mine.end_known - true.end if mine.end_known is not None else duration)
        if script.declares_driver or script.sense == "devices":
            score.drivers_asked += 1
            score.drivers_right += mine.driver == true.driver
        elif mine.driver != "unknown":
            score.drivers_asked += 1  # nobody told it: a guess
    score.invented += len(left)
    _states(score, script, recorded=recorded, live=live, legacy=legacy, duration=duration)


def _states(
    score: Score,
    script: Script,
    *,
    recorded: Sequence[tuple[float, str]],
    live: Sequence[tuple[float, str]],
    legacy: Sequence[tuple[float, bool]],
    duration: float,
) -> None:
    truth = script.states(duration)
    changes = [since for since, _ in truth[1:]]
    at = 6.0
    while at < duration:
        near = bisect_right(changes, at - WINDOW_SECONDS) != bisect_right(changes, at + WINDOW_SECONDS)
        state = _at(truth, at)
        if state != "off" and not near:
            said = _at(recorded, at)
            score.asked += 1
            score.right += said == state
            score.unknown += said == "unknown"
            if said != state:
                score.wrong[f"{script.sense}: {state} as {said}"] += 1
            if bisect_right(changes, at - 1.0) == bisect_right(changes, at):
                score.live_asked += 1
                score.live_right += _at(live, at) == state
            score.legacy_asked += 1
            score.legacy_right += bool(_at(legacy, at)) == (state == "active")
        at += EVERY_SECONDS


def _overlap(found: Found, begin: float, end: float) -> float:
    return min(end, found.end if found.end is not None else end) - max(begin, found.begin) + 1e-9


def _at(series: Sequence[tuple[float, Any]], at: float) -> Any:
    place = bisect_right(series, at, key=lambda each: each[0])
    return series[place - 1][1] if place else "unknown"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _percent(right: int, asked: int) -> float | None:
    return round(100 * right / asked, 4) if asked else None


def summed(figures: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """As rows of a table."""
    return list(figures.items())
