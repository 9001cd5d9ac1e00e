"""What each system did for each cohort: failures that failover hides from the robots, never a copy."""

import pytest

from migration import traffic
from migration.rules.cohort_errors import CohortServed, Outcome, between, by_kind_and_site, outcome, totals_of, where
from migration.rules.cohort_table import UNKNOWN, tag_of
from migration.rules.latency import INFINITY
from migration.rules.sequential import Verdict

XLE, LEKIWI = tag_of("xle", "A"), tag_of("lekiwi", "A")


@pytest.mark.parametrize(
    ("owner", "answered", "attempts", "code", "became"),
    [
        ("new", "new", 1, "200", Outcome.SERVED),
        ("new", "new", 1, "422", Outcome.SERVED),
        ("new", "legacy", 2, "200", Outcome.FAILED),
        ("new", "legacy", 2, "500", Outcome.FAILED),
        ("new", "new", 1, "503", Outcome.FAILED),
        ("new", "", 0, "503", Outcome.FAILED),
        ("new", "legacy", 1, "200", Outcome.PASSED_OVER),
        ("new", "legacy", 1, "500", Outcome.PASSED_OVER),
        ("new", "new", 1, "0", Outcome.LEFT),
        ("new", "", 0, "", Outcome.LEFT),
        ("legacy", "legacy", 2, "200", Outcome.SERVED),
        ("legacy", "new", 2, "200", Outcome.FAILED),
    ],
)
def test_a_call_counts_against_the_owner_that_was_asked_and_did_not_answer(owner, answered, attempts, code, became):
    assert outcome(owner, answered, attempts, code) is became


def totals(xle_failed=0, xle=0, lekiwi=0, passed=0):
    calls = {
        ("new", XLE, "new", "1", "200"): xle,
        ("new", XLE, "legacy", "2", "200"): xle_failed,
        ("new", XLE, "legacy", "1", "200"): passed,
        ("new", LEKIWI, "new", "1", "200"): lekiwi,
    }
    times = {("new", XLE, 10.0): xle, ("new", XLE, 100.0): xle, ("new", XLE, INFINITY): xle}
    return totals_of(calls, times)


def test_what_happened_between_two_samples_is_told_by_system_kind_and_site():
    lekiwi, xle = between(totals(2, 10, 5), totals(12, 210, 405, passed=3))

    assert (lekiwi.cohort, lekiwi.requests, lekiwi.errors) == ("kind lekiwi at site A", 400, 0)
    assert (xle.requests, xle.errors, xle.passed_over, xle.timed) == (210, 10, 3, 200)
    assert xle.error_share == pytest.approx(10 / 210)
    assert xle.verdict is Verdict.FAIL
    assert xle.p99_milliseconds == pytest.approx(9.9)


def test_too_few_requests_without_an_error_are_no_share_of_zero_and_no_p99():
    few = CohortServed("new", "xle", "A", 12, 0, 0, {"10": 12, "inf": 12})

    assert (few.error_share, few.p99_milliseconds, few.verdict) == (None, None, Verdict.INCONCLUSIVE)
    assert CohortServed("new", "xle", "A", 400).error_share == 0.0
    assert CohortServed("new", "xle", "A").error_share is None


def test_nothing_between_two_equal_samples():
    assert between(totals(1, 5, 5), totals(1, 5, 5)) == ()


def test_a_kind_and_a_site_are_sums_of_their_cohorts():
    served = [CohortServed("new", "xle", site, 10, 1, 0, {"10": 9, "inf": 9}) for site in ("A", "B", "")]

    kind, a, b = by_kind_and_site(served)

    assert (kind.cohort, kind.requests, kind.errors, kind.buckets) == ("kind xle", 30, 3, {"10": 27, "inf": 27})
    assert (a.cohort, a.requests, b.cohort) == ("site A", 10, "site B")


def test_the_cohort_that_holds_the_errors_is_named():
    served = [CohortServed("new", "xle", site, 100, 20) for site in ("A", "B")]
    served += [CohortServed("new", "lekiwi", site, 100, 0) for site in ("A", "B")]
    served += [CohortServed("legacy", "lekiwi", "A", 100, 90)]

    assert where(served) == "of calls that it owned it failed 40 of 200 of kind xle, 0 of 200 of the others"


def test_a_kind_at_one_site_is_named_as_such():
    served = [CohortServed("new", kind, site, 100, 0) for kind in ("xle", "lekiwi") for site in ("A", "B")]
    served[0] = CohortServed("new", "xle", "A", 100, 30)

    assert "30 of 100 of kind xle at site A" in where(served)


@pytest.mark.parametrize(
    "served",
    [
        [CohortServed("new", "xle", "A", 100, 20), CohortServed("new", "lekiwi", "A", 100, 20)],
        [CohortServed("new", "xle", "A", 100, 20)],
        [CohortServed("new", "xle", "A", 100, 4), CohortServed("new", "lekiwi", "A", 100, 0)],
        [],
    ],
    ids=["everywhere", "only one cohort", "too few", "nothing"],
)
def test_no_cohort_is_blamed_that_does_not_explain_the_errors(served):
    assert where(served) == ""


def test_robots_that_the_table_does_not_name_are_told_as_such():
    (unknown,) = between({}, totals_of({("new", UNKNOWN, "new", "1", "200"): 3}, {}))

    assert (unknown.cohort, unknown.requests) == ("not known yet", 3)


def test_the_doors_samples_carry_cohorts_through_a_restart_of_a_proxy():
    before = {"a": {**traffic.nothing(), "cohorts": totals(5, 50)}}
    sums = traffic.advance(traffic.nothing(), before, {"a": {**traffic.nothing(), "cohorts": totals(1, 10)}})
    later = traffic.advance(sums, before, {"a": {**traffic.nothing(), "cohorts": totals(6, 60)}})

    (xle,) = traffic.between(sums, later, 1.0).cohorts

    assert (xle.requests, xle.errors) == (11, 1)
    assert traffic.between({}, sums, 1.0).cohorts[0].requests == 11, "samples from before there were cohorts"
