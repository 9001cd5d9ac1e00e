import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.rules.sequential import Verdict
from migration.rules.tails import Limits, compare, quantile


def latencies(seed: int, count: int = 1000, *, slow_share: float = 0.0, slower: float = 1.0) -> list[float]:
    """Milliseconds around 4, log-normal; a share of them slower by a factor."""
    draw = random.Random(seed)
    found = [draw.lognormvariate(math.log(4), 0.3) for _ in range(count)]
    slow = int(count * slow_share)
    return [value * (slower if number < slow else 1) for number, value in enumerate(sorted(found, reverse=True))]


def rank_test_p_value(one: list[float], other: list[float]) -> float:
    """Mann and Whitney 1947, two-sided, normal approximation."""
    ordered = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    total = sum(rank for rank, (_, side) in enumerate(ordered, 1) if side == 0)
    n, m = len(one), len(other)
    u = total - n * (n + 1) / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(z) / math.sqrt(2))


@pytest.mark.parametrize("seed", range(5))
def test_a_system_whose_slowest_2_percent_are_ten_times_slower_fails_and_a_rank_test_would_pass_it(seed):
    legacy, new = latencies(seed), latencies(seed + 100, slow_share=0.02, slower=10)

    found = compare(legacy, new)

    assert found.verdict is Verdict.FAIL
    assert "p99" in found.sentence
    # A rank test sees no worse a difference than between two samples of the same system, at a thousand calls each.
    same = rank_test_p_value(legacy, latencies(seed + 100))
    slow_tail = rank_test_p_value(legacy, new)
    assert abs(slow_tail - same) < 0.02
    assert slow_tail > 0.05


def test_a_system_does_not_fail_against_itself():
    verdicts = [compare(latencies(seed), latencies(seed + 1000)).verdict for seed in range(60)]

    assert verdicts.count(Verdict.FAIL) == 0
    assert verdicts.count(Verdict.PASS) == 60


def test_a_system_that_is_slower_throughout_fails_by_milliseconds():
    found = compare(latencies(1), [value + 12 for value in latencies(2)])

    assert found.verdict is Verdict.FAIL
    assert "more than 10 ms slower" in found.sentence
    a_little = [value + 6 for value in latencies(2)]
    assert compare(latencies(1), a_little).verdict is Verdict.PASS
    assert compare(latencies(1), a_little, Limits(slower_milliseconds=3)).verdict is Verdict.FAIL


def test_too_few_calls_are_inconclusive_whatever_they_say():
    assert compare(latencies(1, 100), latencies(2, 100)).verdict is Verdict.INCONCLUSIVE
    assert compare([], [1.0]).verdict is Verdict.INCONCLUSIVE


@settings(max_examples=40)
@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99]))
def test_an_estimate_lies_in_its_interval(values, share):
    found = quantile(sorted(values), share, 0.95)

    assert found.low is None or found.low <= found.value
    assert found.high is None or found.value <= found.high


def test_intervals_hold_the_true_quantile_as_often_as_they_say():
    truth, held = -math.log(1 - 0.95), 0
    for seed in range(300):
        draw = random.Random(seed)
        found = quantile(sorted(draw.expovariate(1) for _ in range(400)), 0.95, 0.95)
        held += found.low <= truth <= found.high

    assert held >= 0.92 * 300
