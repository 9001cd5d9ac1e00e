import pytest

from migration.rules.watching import Action, Seen, Window, decide

WELL = Window(600, 0, 4.0)


def seen(new: Window, legacy: Window = WELL, **more) -> Seen:
    return Seen(**{"new": new, "legacy": legacy, "in_play": True, "looks_above": 2, **more})


def test_a_healthy_system_is_left_alone():
    assert decide(seen(WELL)).action is Action.NOTHING


@pytest.mark.parametrize(
    ("errors", "action"),
    [(6, Action.NOTHING), (7, Action.PREVIOUS), (30, Action.PREVIOUS), (31, Action.EMERGENCY), (600, Action.EMERGENCY)],
)
def test_more_than_one_percent_goes_back_a_phase_and_more_than_five_is_an_emergency(errors, action):
    assert decide(seen(Window(600, errors, 4.0))).action is action


def test_a_failure_that_has_only_begun_is_looked_at_twice_but_a_gross_one_is_not():
    assert decide(seen(Window(600, 12, 4.0), looks_above=1)).action is Action.NOTHING
    assert decide(seen(Window(600, 60, 4.0), looks_above=1)).action is Action.EMERGENCY


def test_a_handful_of_requests_moves_no_fleet():
    assert decide(seen(Window(10, 10, None))).action is Action.NOTHING


def test_traffic_never_goes_to_a_system_that_is_worse():
    decision = decide(seen(Window(600, 12, 4.0), legacy=Window(600, 600, None)))

    assert decision.action is Action.HOLD
    assert "legacy fails no less" in decision.sentence


def test_a_slow_system_alerts_first_and_goes_back_after_five_minutes():
    slow = Window(600, 0, 700.0)

    assert decide(seen(slow, slow_for_seconds=299)).action is Action.ALERT
    assert decide(seen(slow, slow_for_seconds=301)).action is Action.PREVIOUS


def test_a_system_that_was_down_for_five_minutes_goes_back_a_phase_even_with_little_traffic():
    assert decide(seen(Window(4, 4, None), down_for_seconds=301)).action is Action.PREVIOUS


def test_nothing_is_taken_back_from_a_system_that_has_nothing():
    assert decide(seen(Window(600, 600, None), in_play=False)).action is Action.NOTHING


@pytest.mark.parametrize("errors", [0, 6, 12, 60])
def test_the_cohort_with_the_errors_is_named_and_changes_no_decision(errors):
    plain = decide(seen(Window(600, errors, 4.0)))
    named = decide(seen(Window(600, errors, 4.0), where="it failed 9 of 9 of kind xle"))

    assert (named.action, named.rule) == (plain.action, plain.rule)
    assert named.sentence == (f"{plain.sentence}; it failed 9 of 9 of kind xle" if errors > 6 else "")
