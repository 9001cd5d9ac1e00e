"""The pictures of the way forward: a ramp's steps, and the evidence of a sequential test against its bounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboard.presentation import asked_percent, parsed
from migration.rules.sequential import Evidence, bound_of, judge, likelihood_ratio

#: the highest step is this high, in pixels; the ground line lies below
FULL_HEIGHT, GROUND = 38.0, 44.0
#: the plot's inside, in the units of its own view box
LEFT, RIGHT, TOP, BOTTOM = 8.0, 332.0, 12.0, 148.0
#: evidence far beyond a bound is drawn at the edge: it is decided
BEYOND = 1.35


@dataclass(frozen=True, slots=True)
class Bar:
    """One step: percent of the width, pixels of height; `look` is a class of the design."""

    x: float
    width: float
    top: float
    height: float
    middle: float
    look: str
    words: str


@dataclass(frozen=True, slots=True)
class RampPicture:
    """Steps from left to right; `here` is where the fleet is, percent of the width, None when nothing is on its way."""

    bars: tuple[Bar, ...]
    here: float | None
    told: str


def ramp_picture(way: Mapping[str, Any], now: datetime) -> RampPicture | None:
    """The running ramp, or the steps of the next one; None where none gives anything to `new`."""
    ramp = way["ramp"]
    steps = ramp["steps"] if ramp else way["plan"]
    if not any(step["percent"] for step in steps):
        return None
    plan = [(step["percent"], step["words"], step.get("state", "todo")) for step in steps]
    if not ramp:
        plan.insert(0, (way["percent"], f"now {asked_percent(way['percent'])}", "done"))
    width, highest = 100 / len(plan), max(percent for percent, _, _ in plan)
    bars = tuple(_bar(place, width, highest, step) for place, step in enumerate(plan))
    here = _here(ramp, width, now) if ramp else width
    done = sum(1 for _, _, state in plan if state == "done")
    told = ", then ".join(words for _, words, _ in plan)
    reached = f"{done} of {len(plan)} steps observed" if ramp else "nothing has moved yet"
    return RampPicture(bars, here, f"{told}: {reached}")


def _bar(place: int, width: float, highest: int, step: tuple[int, str, str]) -> Bar:
    percent, words, state = step
    height = max(2.0, FULL_HEIGHT * percent / highest)
    look = "f-new" if state == "done" else "rule"
    # a cohort goes over at the share there is, which the bar's height tells: its name alone fits under it
    label = words.partition(" at ")[0]
    return Bar(place * width, width, GROUND - height, height, (place + 0.5) * width, look, label)


def _here(ramp: Mapping[str, Any], width: float, now: datetime) -> float:
    """How far: into the step that bakes, by how much of its bake time has passed; before the first, at the start."""
    reached = ramp["reached"]
    if reached < 0 or ramp["bakes_until"] is None:
        return 0.0
    left = (parsed(ramp["bakes_until"]) - now).total_seconds()
    passed = 1 - min(1.0, max(0.0, left / ramp["bake_seconds"])) if ramp["bake_seconds"] else 1.0
    return (reached + passed) * width


@dataclass(frozen=True, slots=True)
class Look:
    """One row of the plot's table."""

    seconds: float
    requests: int
    bad: int
    ratio: float
    verdict: str


@dataclass(frozen=True, slots=True)
class TestPlot:
    """Evidence over time in a view box of 440 × 170; the bounds lie at `fails` and `passes`."""

    name: str
    path: str
    x: float
    y: float
    fails: float
    passes: float
    lasts: float
    told: str
    latest: str
    rows: tuple[Look, ...]


def plot_of(name: str, what: str, limit: float, seen: Sequence[tuple[float, Evidence]]) -> TestPlot | None:
    """The test of `limit` (a share) as it was after each of `seen` (seconds, evidence); None with nothing to draw."""
    if len(seen) < 2:
        return None
    lasts, bound = max(seen[-1][0], 1.0), bound_of()
    looks = [
        Look(seconds, each.requests, each.bad, likelihood_ratio(each, limit), judge(each, limit, what).verdict.value)
        for seconds, each in seen
    ]
    points = [(_x(look.seconds, lasts), _y(look.ratio, bound)) for look in looks]
    first = next((look for look in looks if look.verdict != "inconclusive"), None)
    decided = f"; first {first.verdict} at {first.requests:,} requests" if first else ""
    latest = looks[-1]
    return TestPlot(
        name=name,
        path="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points),
        x=points[-1][0],
        y=points[-1][1],
        fails=_y(bound, bound),
        passes=_y(-bound, bound),
        lasts=lasts,
        told=f"{judge(seen[-1][1], limit, what).sentence}{decided}",
        latest=latest.verdict,
        rows=_told(looks, first),
    )


def _told(looks: Sequence[Look], first: Look | None) -> tuple[Look, ...]:
    """A few of the looks, evenly, always with the first that decided and the latest."""
    step = max(1, (len(looks) - 1) // 5)
    kept = {*range(0, len(looks), step), len(looks) - 1, *([looks.index(first)] if first else [])}
    return tuple(looks[place] for place in sorted(kept))


def _x(seconds: float, lasts: float) -> float:
    return LEFT + (RIGHT - LEFT) * min(1.0, max(0.0, seconds / lasts))


def _y(ratio: float, bound: float) -> float:
    """Upwards is worse."""
    reach = BEYOND * bound
    return TOP + (BOTTOM - TOP) * (reach - min(reach, max(-reach, ratio))) / (2 * reach)
