"""Comparing latencies as quantiles to the tail, with intervals.

A mean or a rank test passes a system whose slowest 2 % got ten times slower (DESIGN.md), because 98 % of the values
do not move. So each quantile is judged by itself, by the interval in which order statistics say it lies (Conover 1999,
section 3.2): free of any distribution, and wide where there is little to go by.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from migration.rules.sequential import Verdict

QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995)
#: from here on it is the tail, where another shape is a fault even if it takes few milliseconds
TAIL_FROM = 0.95
#: without this one there is no verdict
NEEDED = 0.99


@dataclass(frozen=True, slots=True)
class Limits:
    """How much slower may be: by milliseconds anywhere; in the tail also by a ratio that takes more than a little."""

    slower_milliseconds: float = 10.0
    tail_ratio: float = 3.0
    tail_milliseconds: float = 2.0
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Quantile:
    """An estimate with its interval, milliseconds; a bound is None where the samples are too few to give one."""

    share: float
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One quantile of both systems, its verdict and why."""

    legacy: Quantile
    new: Quantile
    verdict: Verdict
    sentence: str


@dataclass(frozen=True, slots=True)
class Tails:
    """All quantiles and the verdict over them."""

    verdict: Verdict
    sentence: str
    quantiles: tuple[Compared, ...]


def quantile(ordered: Sequence[float], share: float, confidence: float) -> Quantile:
    """A quantile of values in order (at least one), and the interval in which it lies with `confidence`.

    The ranks follow from the binomial distribution exactly: as many of the values lie below the true quantile.
    """
    count = len(ordered)
    half = (1 - confidence) / 2
    below = _cumulative(count, share)
    low = max((rank for rank in range(1, count + 1) if below[rank - 1] <= half), default=0)
    high = next((rank for rank in range(1, count + 1) if 1 - below[rank - 1] <= half), count + 1)
    return Quantile(
        share,
        ordered[max(0, math.ceil(count * share) - 1)],
        ordered[low - 1] if low else None,
        ordered[high - 1] if high <= count else None,
    )


def compare(legacy: Sequence[float], new: Sequence[float], limits: Limits | None = None) -> Tails:
    """Is `new` slower than legacy at any quantile? Milliseconds of each call, in any order.

    FAIL only where the intervals themselves are too far apart; INCONCLUSIVE while there are too few values for p99.
    """
    limits = limits or Limits()
    if not legacy or not new:
        return Tails(Verdict.INCONCLUSIVE, "nothing was measured", ())
    ours, theirs = sorted(legacy), sorted(new)
    compared = tuple(
        _judge(quantile(ours, share, limits.confidence), quantile(theirs, share, limits.confidence), limits)
        for share in QUANTILES
    )
    failed = [one for one in compared if one.verdict is Verdict.FAIL]
    if failed:
        return Tails(Verdict.FAIL, "; ".join(one.sentence for one in failed), compared)
    open_still = [one for one in compared if one.verdict is Verdict.INCONCLUSIVE and one.new.share <= NEEDED]
    if open_still:
        return Tails(Verdict.INCONCLUSIVE, "; ".join(one.sentence for one in open_still), compared)
    return Tails(Verdict.PASS, f"no quantile up to {name(NEEDED)} is slower than allowed", compared)


def name(share: float) -> str:
    """`p99`, `p99.5`."""
    return f"p{100 * share:g}"


def _judge(legacy: Quantile, new: Quantile, limits: Limits) -> Compared:
    label = name(new.share)
    if legacy.high is None or new.low is None:
        return Compared(legacy, new, Verdict.INCONCLUSIVE, f"{label}: too few calls to say where it lies")
    told = f"{label}: at least {new.low:.1f} ms on new, at most {legacy.high:.1f} ms on legacy"
    slower = new.low - legacy.high
    if slower > limits.slower_milliseconds:
        return Compared(legacy, new, Verdict.FAIL, f"{told}: more than {limits.slower_milliseconds:g} ms slower")
    other_shape = new.low > limits.tail_ratio * legacy.high and slower > limits.tail_milliseconds
    if new.share >= TAIL_FROM and other_shape:
        return Compared(legacy, new, Verdict.FAIL, f"{told}: {new.low / legacy.high:.1f} times as slow in the tail")
    return Compared(legacy, new, Verdict.PASS, told)


def _cumulative(count: int, share: float) -> list[float]:
    """P(B ≤ k) for k = 0 … count, B binomial; in logarithms, because the terms of thousands underflow."""
    log_share, log_rest = math.log(share), math.log1p(-share)
    total, sums = 0.0, []
    for hits in range(count + 1):
        term = math.lgamma(count + 1) - math.lgamma(hits + 1) - math.lgamma(count - hits + 1)
        total += math.exp(term + hits * log_share + (count - hits) * log_rest)
        sums.append(min(1.0, total))
    return sums
