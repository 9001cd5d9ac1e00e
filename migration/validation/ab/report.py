"""The A/B test's report: one HTML file that needs nothing beside it, and the same as JSON."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.template.loader import render_to_string

from migration.rules.sequential import Verdict
from migration.rules.tails import QUANTILES, Tails, name, quantile
from migration.validation.ab.testing import Part, Result

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 34
#: differences that are listed; all are counted
SHOWN = 100
#: steps of a cumulative curve
STEPS = 200

_LOOKS = {Verdict.PASS: "ok", Verdict.FAIL: "bad", Verdict.INCONCLUSIVE: "wait"}
_WORDS = {
    Verdict.PASS: "Pass: both systems answer alike",
    Verdict.FAIL: "Fail: the systems do not answer alike",
    Verdict.INCONCLUSIVE: "Inconclusive: not everything could be compared",
}


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a plot, and the band around it where it has one; SVG coordinates."""

    system: str
    line: str
    band: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Everything that is drawn."""

    curves: list[Curve]
    across: list[Tick]
    up: list[Tick]


def html(result: Result) -> str:
    """The report as one self-contained file."""
    return render_to_string(
        "migration/ab_report.html",
        {
            "result": result,
            "look": _LOOKS[result.verdict],
            "words": _WORDS[result.verdict],
            "parts": [_part(part) for part in result.parts],
            "calls": f"{len(result.new_milliseconds):,}",
            "quantiles": [_row(one) for one in as_json(result)["latency"]["quantiles"]],
            "tail": _tail_plot(result),
            "cumulative": _cumulative_plot(result),
            "size": {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT, "bottom": HEIGHT - BOTTOM},
        },
    )


def as_json(result: Result) -> dict[str, Any]:
    """The report's figures."""
    return {
        "at": result.at.isoformat(),
        "seed": result.seed,
        "verdict": result.verdict.value,
        "latency": _tails(result.latency),
        "legacy_against_itself": _tails(result.control),
        "parts": [
            {
                "name": part.name,
                "verdict": part.verdict.value,
                "calls": part.calls,
                "not_run": part.not_run,
                "failures": part.failures,
                "different": [{"call": call, **asdict(one)} for call, one in part.different],
                "tolerated": dict(part.tolerated),
                "noise": part.noise,
                "sorts": _sorts(part),
            }
            for part in result.parts
        ],
    }


def _tails(tails: Tails) -> dict[str, Any]:
    return {
        "verdict": tails.verdict.value,
        "sentence": tails.sentence,
        "quantiles": [
            {
                "quantile": name(one.new.share),
                "verdict": one.verdict.value,
                "sentence": one.sentence,
                "legacy_ms": [one.legacy.value, one.legacy.low, one.legacy.high],
                "new_ms": [one.new.value, one.new.low, one.new.high],
            }
            for one in tails.quantiles
        ],
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "part": part,
        "look": _LOOKS[part.verdict],
        "verdict": part.verdict.value,
        "calls": f"{part.calls:,}",
        "failed": f"{len(part.failures):,}",
        "differ": f"{len(part.different):,}",
        "failures": part.failures[:SHOWN],
        "different": part.different[:SHOWN],
        "more": max(0, len(part.different) - SHOWN) + max(0, len(part.failures) - SHOWN),
        "noise": [(place, ", ".join(types), part.tolerated[place]) for place, types in part.noise.items()],
        "sorts": _sorts(part),
    }


def _sorts(part: Part) -> list[dict[str, Any]]:
    """Median and 99th percentile of each sort of call, milliseconds."""
    found = []
    for sort, legacy in part.legacy.items():
        new = part.new[sort]
        figures = {
            f"{system}_{name(share)}": quantile(sorted(values), share, 0.95).value
            for system, values in (("legacy", legacy), ("new", new))
            for share in (0.5, 0.99)
        }
        found.append({"name": sort, "calls": len(new), **{key.replace(".", "_"): v for key, v in figures.items()}})
    return found


def _row(one: dict[str, Any]) -> dict[str, Any]:
    look = _LOOKS[Verdict(one["verdict"])]
    return {**one, "look": look, "legacy": _told(one["legacy_ms"]), "new": _told(one["new_ms"])}


def _told(estimate: Sequence[float | None]) -> str:
    value, low, high = ("?" if one is None else f"{one:.2f}" for one in estimate)
    return f"{value} ({low} to {high})"


def _tail_plot(result: Result) -> Plot:
    """Quantiles with their intervals, on an axis that gives the tail its room: each step is a tenth of the rest."""
    compared = result.latency.quantiles
    if not compared:
        return Plot([], [], [])
    up = _Axis([*result.legacy_milliseconds, *result.new_milliseconds])
    places = {share: LEFT + (WIDTH - LEFT - RIGHT) * at for share, at in _spread(QUANTILES).items()}
    curves = []
    for system in ("legacy", "new"):
        every = [getattr(one, system) for one in compared]
        line = " ".join(f"{places[one.share]:.1f},{up.at(one.value):.1f}" for one in every)
        whole = [one for one in every if one.low is not None and one.high is not None]
        edge = [(places[one.share], one.high) for one in whole] + [(places[one.share], one.low) for one in whole[::-1]]
        curves.append(Curve(system, line, " ".join(f"{x:.1f},{up.at(value):.1f}" for x, value in edge)))
    return Plot(curves, [Tick(place, name(share)) for share, place in places.items()], up.ticks)


def _cumulative_plot(result: Result) -> Plot:
    """What share of the calls were answered within how many milliseconds."""
    if not result.legacy_milliseconds or not result.new_milliseconds:
        return Plot([], [], [])
    across = _Axis([*result.legacy_milliseconds, *result.new_milliseconds], LEFT, WIDTH - RIGHT)
    curves = []
    for system, values in (("legacy", result.legacy_milliseconds), ("new", result.new_milliseconds)):
        ordered = sorted(values)
        steps = [ordered[min(len(ordered) - 1, len(ordered) * step // STEPS)] for step in range(STEPS + 1)]
        points = (f"{across.at(value):.1f},{_share_at(step / STEPS):.1f}" for step, value in enumerate(steps))
        curves.append(Curve(system, " ".join(points)))
    return Plot(curves, across.ticks, [Tick(_share_at(share), f"{share:.0%}") for share in (0.0, 0.5, 0.9, 1.0)])


class _Axis:
    """Milliseconds on a logarithmic axis between two places, upwards unless places are given."""

    def __init__(self, values: Sequence[float], start: float = HEIGHT - BOTTOM, end: float = TOP) -> None:
        self._low = math.log10(max(0.01, min(values)))
        self._high = max(math.log10(max(values)), self._low + 0.1)
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        """The place of a value."""
        share = (math.log10(max(0.01, value)) - self._low) / (self._high - self._low)
        return self._start + (self._end - self._start) * share

    @property
    def ticks(self) -> list[Tick]:
        """1, 2 and 5 of each power of ten that lie on the axis."""
        steps = (digit * 10.0**power for power in range(-2, 6) for digit in (1, 2, 5))
        return [
            Tick(self.at(value), f"{value:g} ms") for value in steps if self._low <= math.log10(value) <= self._high
        ]


def _share_at(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share


def _spread(shares: Sequence[float]) -> dict[float, float]:
    """Where quantiles stand between 0 and 1: by the number of nines."""
    nines = {share: -math.log10(1 - share) for share in shares}
    low, high = min(nines.values()), max(nines.values())
    return {share: (value - low) / (high - low) for share, value in nines.items()}
