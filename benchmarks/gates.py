"""How often a gate that is looked at all the time is wrong: `python -m benchmarks.gates [--json FILE]`.

Streams of requests are made up, good and bad ones, and after every request the gate's own rule is asked. Baseline: an
interval for a sample of a fixed size (Wilson, 95 %), asked as often. A false pass is a system at the limit that
passes; a false fail is a good one (a tenth of the limit) that fails.
"""

import math
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import reporting
from migration.rules.gates import AS_SLOW, DEFAULTS, SLOWER
from migration.rules.sequential import GOOD_SHARE_OF_LIMIT, Evidence, Verdict, judge

#: so many that chance moves a rate of 5 % by less than 0.05 points
STREAMS = 300_000
GOOD_STREAMS = 40_000
BASELINE_STREAMS = 4_000
SEED = 20_261_124
#: one-sided 95 %
Z = 1.6449
#: the smallest sample that a fixed interval is looked at from
FIXED_FROM = 100
#: a stream ends when nothing is decided after so many times the requests that the test takes without a bad one
LONG = 25

Rule = Callable[[Evidence], Verdict]


@dataclass(frozen=True, slots=True)
class Question:
    """One of the gate's questions: is the share of bad requests below `limit`, against `good`?"""

    name: str
    limit: float
    good: float

    @property
    def alone(self) -> int:
        """Requests that the test takes without a bad one."""
        return judge(Evidence(0, 0), self.limit, self.name, good_share=self.good).more_needed

    def sequential(self, seen: Evidence) -> Verdict:
        """The gate's own rule."""
        return judge(seen, self.limit, self.name, good_share=self.good).verdict

    def fixed(self, seen: Evidence) -> Verdict:
        """The baseline: is the whole interval below the limit, or above what is good?"""
        low, high = wilson(seen)
        return Verdict.PASS if high < self.limit else Verdict.FAIL if low > self.limit else Verdict.INCONCLUSIVE


QUESTIONS = (
    Question("errors", DEFAULTS.error_limit_percent / 100, DEFAULTS.error_limit_percent / 100 * GOOD_SHARE_OF_LIMIT),
    Question(
        "slow answers", DEFAULTS.slow_limit_percent / 100, DEFAULTS.slow_limit_percent / 100 * GOOD_SHARE_OF_LIMIT
    ),
    Question("slower than legacy", SLOWER, AS_SLOW),
)


def wilson(seen: Evidence) -> tuple[float, float]:
    """The interval of a share, each side at 95 %."""
    if not seen.requests:
        return 0.0, 1.0
    share, spread = seen.bad / seen.requests, Z * Z / seen.requests
    middle = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(share * (1 - share) / seen.requests + spread / (4 * seen.requests))
    return middle - half, middle + half


@dataclass(slots=True)
class Boundaries:
    """Where a rule decides, by how many bad requests there were, asked of the rule itself and remembered.

    Good requests only make the evidence better, so for each number of bad ones there is one number of requests up to
    which the rule fails and one from which on it passes. Asking it at every request again would say the same, slower.
    """

    rule: Rule
    #: a stream has no more requests than this, and the rule is not asked about more
    until: int
    _by_bad: dict[int, tuple[int, int]] = field(default_factory=dict)

    def of(self, bad: int) -> tuple[int, int]:
        """Up to how many requests the rule fails (0: never), and from how many on it passes (`until` + 1: never)."""
        if bad not in self._by_bad:
            first = max(1, bad)
            fails = self._first(first, lambda requests: self._says(requests, bad) is not Verdict.FAIL) - 1
            passes = self._first(first, lambda requests: self._says(requests, bad) is Verdict.PASS)
            self._by_bad[bad] = (fails if fails >= first else 0, passes)
        return self._by_bad[bad]

    def _says(self, requests: int, bad: int) -> Verdict:
        return self.rule(Evidence(requests, bad))

    def _first(self, low: int, holds: Callable[[int], bool]) -> int:
        """The fewest requests from `low` on of which it holds; `until` + 1 if it holds of none."""
        high = self.until + 1
        while low < high:
            middle = (low + high) // 2
            if holds(middle):
                high = middle
            else:
                low = middle + 1
        return low


def decided(
    boundaries: Boundaries, share: float, streams: int, chance: random.Random, first: int = 1
) -> tuple[float, float, int]:
    """The shares of streams that passed and that failed (a fail is final), and the mean requests of a decision.

    The rule is asked after every request from `first` on, until it decides or the stream has ended.
    """
    passed = failed = spent = 0
    until, per_gap = boundaries.until, 1 / math.log(1 - share)
    for _ in range(streams):
        requests = bad = 0
        while True:
            # The good ones until the next bad one: a pass falls on one of them, or on the moment of the first look.
            seen = requests + int(math.log(1 - chance.random()) * per_gap)
            fails, passes = boundaries.of(bad)
            if requests < first <= min(seen, fails):
                failed, spent = failed + 1, spent + first
                break
            if max(passes, first) <= min(seen, until):
                passed, spent = passed + 1, spent + max(passes, first, requests)
                break
            requests, bad = seen + 1, bad + 1
            if requests > until:
                break
            fails, _ = boundaries.of(bad)
            if first <= requests <= fails:
                failed, spent = failed + 1, spent + requests
                break
    return passed / streams, failed / streams, round(spent / max(1, passed + failed))


def main() -> int:
    """Simulate, print, write the JSON. 1 if the gate is wrong more often than it promises."""
    asked = reporting.arguments(__doc__.splitlines()[0] if __doc__ else "")
    asked.add_argument("--streams", type=int, default=STREAMS, help="streams per question and share")
    options = asked.parse_args()
    rows: list[dict[str, Any]] = []
    for question in QUESTIONS:
        for name, rule, streams, first in (
            ("sequential", question.sequential, options.streams, 1),
            ("fixed sample", question.fixed, min(BASELINE_STREAMS, options.streams), FIXED_FROM),
        ):
            chance, boundaries = random.Random(SEED), Boundaries(rule, LONG * question.alone)
            at_limit = decided(boundaries, question.limit, streams, chance, first)
            good = decided(boundaries, question.good, min(GOOD_STREAMS, streams), chance, first)
            rows.append(
                {
                    "question": question.name,
                    "rule": name,
                    "streams": streams,
                    "false_pass_rate": at_limit[0],
                    "false_fail_rate": good[1],
                    "good_passes": good[0],
                    "requests_to_decide_good": good[2],
                    "requests_to_decide_at_limit": at_limit[2],
                }
            )
    return report(rows, options.json)


def report(rows: list[dict[str, Any]], path: Path | None) -> int:
    """Print the table and write the JSON."""
    ours = [row for row in rows if row["rule"] == "sequential"]
    theirs = [row for row in rows if row["rule"] != "sequential"]
    figures = {
        "false_pass_rate": max(row["false_pass_rate"] for row in ours),
        "false_fail_rate": max(row["false_fail_rate"] for row in ours),
        "baseline_false_pass_rate": max(row["false_pass_rate"] for row in theirs),
        "baseline_false_fail_rate": max(row["false_fail_rate"] for row in theirs),
        "rows": rows,
    }
    print(reporting.machine())
    print(
        reporting.table(
            [
                tuple(rows[0]),
                *(
                    tuple(f"{value:.4f}" if isinstance(value, float) else value for value in row.values())
                    for row in rows
                ),
            ]
        )
    )
    reporting.write(figures, path)
    return 0 if max(figures["false_pass_rate"], figures["false_fail_rate"]) <= 0.05 else 1


if __name__ == "__main__":
    sys.exit(main())
