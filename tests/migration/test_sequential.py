from hypothesis import given
from hypothesis import strategies as st

from migration.rules.sequential import Evidence, Verdict, judge


def test_no_traffic_is_neither_success_nor_failure():
    assert judge(Evidence(0, 0), 0.001, "errors").verdict is Verdict.INCONCLUSIVE


def test_with_no_error_a_limit_of_a_tenth_of_a_percent_takes_about_3330_requests():
    assert judge(Evidence(3_300, 0), 0.001, "errors").verdict is Verdict.INCONCLUSIVE
    assert judge(Evidence(3_330, 0), 0.001, "errors").verdict is Verdict.PASS


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
