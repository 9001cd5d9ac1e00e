import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.rules.sequential import Evidence, Verdict, judge


def test_no_traffic_is_neither_success_nor_failure():
    assert judge(Evidence(0, 0), 0.001, "errors").verdict is Verdict.INCONCLUSIVE


def test_with_no_error_a_limit_of_a_tenth_of_a_percent_takes_about_3350_requests():
    assert judge(Evidence(3_349, 0), 0.001, "errors").verdict is Verdict.INCONCLUSIVE
    assert judge(Evidence(3_350, 0), 0.001, "errors").verdict is Verdict.PASS


def test_an_inconclusive_judgement_says_how_many_more_it_needs():
    judgement = judge(Evidence(1_000, 0), 0.001, "errors")

    assert judge(Evidence(1_000 + judgement.more_needed, 0), 0.001, "errors").verdict is Verdict.PASS
    assert f"{judgement.more_needed:,} more" in judgement.sentence


def test_a_share_well_above_the_limit_fails():
    assert judge(Evidence(1_000, 10), 0.001, "errors").verdict is Verdict.FAIL


@given(st.integers(0, 50_000), st.integers(0, 200))
def test_more_bad_requests_never_make_the_verdict_better(requests, bad):
    order = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.FAIL: 2}
    bad = min(bad, requests)

    now = judge(Evidence(requests, bad), 0.01, "errors").verdict
    worse = judge(Evidence(requests + 1, bad + 1), 0.01, "errors").verdict

    assert order[worse] >= order[now]


@pytest.mark.parametrize("good_share", [0.001, 0.003])
def test_a_system_at_the_limit_passes_and_a_good_one_fails_less_often_than_it_promises(good_share):
    """Exactly, request by request, over every evidence that a stream can reach: no chance, no margin of error."""
    limit = 0.01

    assert _ends(limit, limit, good_share)[Verdict.PASS] < 0.05
    assert _ends(good_share, limit, good_share)[Verdict.FAIL] < 0.05


def _ends(share, limit, good_share, until=3_000):
    """The chance of each verdict within `until` requests of which each is bad with the chance `share`."""
    ends = dict.fromkeys(Verdict, 0.0)
    open_ends = {0: 1.0}
    for requests in range(1, until + 1):
        after = {}
        for bad, chance in open_ends.items():
            after[bad] = after.get(bad, 0.0) + chance * (1 - share)
            after[bad + 1] = after.get(bad + 1, 0.0) + chance * share
        open_ends = {}
        for bad, chance in after.items():
            verdict = judge(Evidence(requests, bad), limit, "errors", good_share=good_share).verdict
            if verdict is Verdict.INCONCLUSIVE:
                open_ends[bad] = chance
            else:
                ends[verdict] += chance
    assert sum(open_ends.values()) < 0.01, "nearly every stream is decided"
    return ends
