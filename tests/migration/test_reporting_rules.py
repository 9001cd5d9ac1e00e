import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.rules import replaying, reporting
from migration.rules.replaying import BadThreshold, Look, changed, firings, sentence, split, threshold
from migration.rules.reporting import Pairs
from migration.rules.sequential import Evidence, Verdict
from migration.rules.watching import Matrix, Window

CALM = Window(300, 0, 20.0)
COUNTS = st.integers(0, 10**7)


def looks(*errors: int) -> list[Look]:
    """One look a second; so many of 300 requests failed."""
    return [Look(float(at), Window(300, bad, 20.0), CALM) for at, bad in enumerate(errors)]


def test_no_call_at_the_door_is_no_proof_of_no_downtime():
    assert reporting.downtime(None).verdict is Verdict.INCONCLUSIVE
    assert reporting.downtime(reporting.Calls(0, 0, 0.0)).verdict is Verdict.INCONCLUSIVE
    assert reporting.downtime(reporting.Calls(100, 1, 0.01)).verdict is Verdict.FAIL
    assert reporting.downtime(reporting.Calls(100, 0, 0.0)).figure == "0.00 s"


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_the_error_rate_is_judged_only_with_30_000_requests_on_each_side(a, b, c, d):
    legacy, new = Evidence(a, min(a, b)), Evidence(c, min(c, d))

    judged = reporting.error_increase(legacy, new)

    assert (judged.verdict is Verdict.INCONCLUSIVE) == (min(a, c) < 30_000)
    if judged.verdict is Verdict.FAIL:
        assert new.bad / new.requests > legacy.bad / legacy.requests


def test_a_rise_of_a_hundredth_of_a_point_fails():
    assert reporting.error_increase(Evidence(100_000, 0), Evidence(100_000, 9)).verdict is Verdict.PASS
    assert reporting.error_increase(Evidence(100_000, 0), Evidence(100_000, 10)).verdict is Verdict.FAIL


def test_a_missed_copy_is_a_loss_but_for_the_last_on_their_way():
    assert reporting.loss((0, 0), (0, 0)).verdict is Verdict.INCONCLUSIVE
    assert reporting.loss((5_000, 4_998), (0, 0)).verdict is Verdict.PASS
    assert reporting.loss((5_000, 4_990), (0, 0)).figure == "10"


def test_robots_that_did_not_move_are_named():
    assert reporting.robots_migrated(200, 10, [], reached=False).verdict is Verdict.INCONCLUSIVE
    judged = reporting.robots_migrated(200, 199, ["Lekiwi_7"], reached=True)
    assert (judged.verdict, judged.sentence) == (Verdict.FAIL, "not yet: Lekiwi_7")


@pytest.mark.parametrize(
    ("pairs", "verdict", "figure"),
    [
        (Pairs(4, 10.0, 1.0), Verdict.INCONCLUSIVE, "1 s on new"),
        (Pairs(), Verdict.INCONCLUSIVE, "–"),
        (Pairs(5, 10.0, 4.9), Verdict.PASS, "4.9 s, legacy 10 s (51 % less)"),
        (Pairs(5, 10.0, 5.0), Verdict.FAIL, "5 s, legacy 10 s (50 % less)"),
        (Pairs(5, 10.0, 4.9, unsaid=3), Verdict.PASS, "4.9 s, legacy ≥ 10 s (51 % less)"),
        # How much longer legacy would have taken nobody knows.
        (Pairs(5, 10.0, 6.0, unsaid=3), Verdict.INCONCLUSIVE, "6 s, legacy ≥ 10 s (40 % less)"),
        (Pairs(5, 0.0, 6.0, unsaid=5), Verdict.INCONCLUSIVE, "6 s, legacy ≥ 0 ms (0 % less)"),
        (Pairs(5, 0.009, 0.02), Verdict.WAIVED, "20 ms, legacy 9 ms"),
    ],
)
def test_what_was_slow_is_better_by_half_even_if_legacy_took_no_longer_than_is_known(pairs, verdict, figure):
    judged = reporting.better("x", "x", pairs, fewest=5, what="silences", slow_from=0.01)

    assert (judged.verdict, judged.figure) == (verdict, figure)
    assert f"{pairs.count} silences" in judged.sentence


def test_what_nobody_states_is_inconclusive_and_so_is_the_whole():
    untold = reporting.stated("team", "Team trained", "signed", None, "nobody has signed it")
    held = reporting.stated("team", "Team trained", "signed", (True, "by lead"), "")

    assert reporting.verdict_of([held, untold]) is Verdict.INCONCLUSIVE
    assert reporting.verdict_of([held]) is Verdict.PASS
    assert reporting.verdict_of([]) is Verdict.INCONCLUSIVE
    failed = reporting.stated("team", "Team trained", "signed", (False, ""), "")
    assert reporting.verdict_of([failed, untold]) is Verdict.FAIL


def test_a_lower_threshold_fires_earlier_and_says_by_how_much():
    errors = [0] * 100 + [2] * 41 + [6] * 10
    stored = firings(looks(*errors), Matrix(minimum_errors=2))
    other = firings(looks(*errors), changed(Matrix(minimum_errors=2), {"error_rate": 0.005}))

    assert sentence(stored, other, 145.0) == (
        "this rule would have fired 41 s earlier than the rule of then, with 0 false rollbacks"
    )


def test_a_threshold_that_is_too_low_has_false_rollbacks():
    errors = [0] * 20 + [2] * 3 + [0] * 60 + [2] * 3 + [0] * 60 + [12] * 5
    low = changed(Matrix(), {"error_rate": 0.005, "minimum_errors": 1})

    assert [round(one.at) for one in firings(looks(*errors), low)] == [21, 84, 147]
    assert "with 2 false rollbacks" in sentence(firings(looks(*errors), Matrix()), firings(looks(*errors), low), 150.0)
    assert sentence([], firings(looks(*errors[:80]), low), None) == (
        "this rule would have fired in a phase that held, with 1 false rollback"
    )


def test_a_threshold_that_is_too_high_would_not_have_fired():
    errors = [0] * 20 + [12] * 5
    high = changed(Matrix(), {"error_rate": 0.2, "emergency_error_rate": 0.5})

    told = sentence(firings(looks(*errors), Matrix()), firings(looks(*errors), high), 24.0)

    assert told == "this rule would not have fired before the rollback that happened, with 0 false rollbacks"


@given(st.lists(st.integers(0, 30), max_size=200), st.floats(0.001, 0.2), st.floats(0.001, 0.2))
def test_a_stricter_rule_never_fires_later(errors, one, other):
    strict, lax = (changed(Matrix(), {"error_rate": share, "looks": 1}) for share in sorted((one, other)))
    strictly, laxly = (firings(looks(*errors), matrix) for matrix in (strict, lax))

    assert not laxly or strictly[0].at <= laxly[0].at
    right, false = split(strictly, None)
    assert (right, len(false)) == (None, len(strictly))


def test_thresholds_are_read_as_operators_write_them():
    assert threshold("error_rate", "0.5%") == 0.005
    assert threshold("p99_ms", "300") == 300.0
    assert changed(Matrix(), {"minimum_requests": 10.0}).minimum_requests == 10


@given(st.text(max_size=12), st.text(max_size=12))
def test_whatever_is_written_a_threshold_is_a_share_or_refused(word, text):
    for name in (word, "error_rate"):
        with contextlib.suppress(BadThreshold):
            assert 0 < threshold(name, text) < 1


def test_the_gate_is_judged_where_it_was_first_decided():
    evidence = [(float(at), Evidence(100 * at, 0), Evidence(100 * at, 0)) for at in range(1, 100)]

    then = replaying.gate(evidence, error_limit=0.001, slow_limit=0.01)
    strict = replaying.gate(evidence, error_limit=0.0005, slow_limit=0.01)

    assert (then.verdict, then.at) == (Verdict.PASS, 34.0)
    assert strict.at == 68.0
    assert replaying.gate(evidence[:10], error_limit=0.001, slow_limit=0.01).verdict is Verdict.INCONCLUSIVE
