import pytest

from dashboard import presentation

NB = presentation.NB


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (0, f"0.0{NB}s"),
        (59.94, f"59.9{NB}s"),
        (59.96, f"1{NB}min{NB}00{NB}s"),
        (7560, f"2{NB}h{NB}06{NB}min"),
        (424800, f"4{NB}d{NB}22{NB}h"),
        (-3, f"0.0{NB}s"),
    ],
)
def test_an_age_has_tenths_below_a_minute_and_then_two_units(seconds, said):
    assert presentation.age(seconds) == said


def test_what_was_asked_has_no_decimals_and_what_was_observed_has_one():
    assert presentation.asked_percent(10) == f"10{NB}%"
    assert presentation.observed_percent(9.94) == f"9.9{NB}%"


def test_what_was_never_measured_is_a_dash_and_not_zero():
    for figure in (
        presentation.asked_percent,
        presentation.observed_percent,
        presentation.fine_percent,
        presentation.milliseconds,
        presentation.measured_seconds,
        presentation.count,
        presentation.span,
        presentation.stamp,
    ):
        assert figure(None) == "–"


def test_a_mirror_that_lost_one_copy_is_never_shown_as_complete():
    assert presentation.fine_percent(99.9999) == f"99.99{NB}%"
    assert presentation.fine_percent(100) == f"100.00{NB}%"


def test_times_are_utc_whatever_zone_they_came_in():
    assert presentation.stamp("2026-11-24T05:12:44+02:00") == f"24{NB}Nov{NB}03:12:44"


def test_a_phase_of_minutes_is_not_counted_in_days():
    assert presentation.progress(424800, 604800) == "day 5 of 7"
    assert presentation.progress(64, 120) == f"1{NB}min{NB}04{NB}s of 2{NB}min{NB}00{NB}s"
