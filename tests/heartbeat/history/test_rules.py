"""How long history is kept."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from heartbeat.rules.history import Span, day_span, expired, month_span

TODAY = date(2026, 11, 24)
NEW_YEAR_2037 = date(2037, 1, 1)


def a_month(*, until: date = TODAY, days: int = 31, ahead: int = 7) -> list[Span]:
    heard = [day_span(until - timedelta(days=number), heard=True) for number in range(days)]
    return heard + [day_span(until + timedelta(days=number), heard=False) for number in range(1, ahead + 1)]


def test_fourteen_days_and_today_stay() -> None:
    gone = expired(a_month(), TODAY, keep_days=14)

    assert [span.start for span in gone] == [TODAY - timedelta(days=number) for number in range(30, 14, -1)]


def test_on_the_day_the_clock_says_2037_nothing_more_goes() -> None:
    kept = [span for span in a_month() if span not in expired(a_month(), TODAY, 14)]

    assert expired(kept, NEW_YEAR_2037, 14) == []
    assert expired([*kept, day_span(NEW_YEAR_2037, heard=True)], NEW_YEAR_2037, 14) == []


def test_back_from_2037_days_go_as_ever_and_the_day_of_2037_stays() -> None:
    spans = [*a_month(), day_span(NEW_YEAR_2037, heard=True)]

    assert expired(spans, TODAY, 14) == expired(a_month(), TODAY, 14)


def test_days_in_which_nothing_was_heard_drop_nothing() -> None:
    silent = [day_span(TODAY + timedelta(days=number), heard=False) for number in range(1, 60)]

    assert expired([*a_month(days=15), *silent], TODAY + timedelta(days=59), 14) == []


def test_a_fleet_that_runs_on_one_day_a_month_keeps_as_many_days() -> None:
    spans = [day_span(date(2026, month, 1), heard=True) for month in range(1, 12)]

    gone = expired(spans, date(2026, 11, 1), keep_days=3)

    assert [span.start.month for span in gone] == [1, 2, 3, 4, 5, 6]


def test_a_year_of_months_stays() -> None:
    spans = [month_span(date(2025 + number // 12, number % 12 + 1, 1), heard=True) for number in range(23)]

    assert [span.start for span in expired(spans, TODAY, 365)] == [date(2025, month, 1) for month in range(1, 11)]


@given(st.sets(st.integers(0, 60)), st.integers(0, 60), st.integers(1, 20))
def test_what_goes_is_older_by_the_calendar_and_has_as_many_days_heard_after_it(
    heard_days: set[int], today: int, keep_days: int
) -> None:
    start = date(2026, 1, 1)
    spans = [day_span(start + timedelta(days=number), heard=number in heard_days) for number in range(61)]

    gone = expired(spans, start + timedelta(days=today), keep_days)

    for span in gone:
        number = (span.start - start).days
        assert number < today - keep_days
        assert len([day for day in heard_days if number < day <= today]) > keep_days
    assert gone == sorted(gone)
    if heard_days >= set(range(61)):
        assert len(gone) == max(0, today - keep_days)
