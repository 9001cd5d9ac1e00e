"""What must hold of the rules whatever the numbers are."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from heartbeat.rules.deafness import Deaf, counted_from, merged
from heartbeat.rules.flapping import ENDS_AT, decayed, steady_at
from heartbeat.rules.liveness import Liveness, thresholds
from heartbeat.rules.transitions import Heard, Known, deadline, steps
from heartbeat.rules.windows import Planned, Scope, alarm_at
from tests.heartbeat.liveness.world import at

seconds = st.floats(0, 5_000).map(lambda number: round(number, 3))
intervals = st.floats(0.1, 600)
graces = st.none() | st.floats(0, 600)
deafness = st.lists(
    st.tuples(seconds, st.floats(0.001, 900)).map(lambda one: Deaf(at(one[0]), at(one[0] + one[1]))), max_size=5
).map(merged)


@given(intervals, graces)
def test_nobody_is_offline_before_being_late(interval: float, grace: float | None) -> None:
    limits = thresholds(interval, grace)

    assert interval <= limits.late_after_seconds <= limits.offline_after_seconds


@given(seconds, deafness)
def test_a_deaf_time_never_brings_a_deadline_forward_nor_excuses_what_comes_after_it(
    last: float, deaf: list[Deaf]
) -> None:
    counted = counted_from(at(last), deaf)

    assert counted >= at(last)
    assert counted <= max([at(last), *(one.ended_at for one in deaf)])
    assert counted_from(at(last), [one for one in deaf if one.ended_at > at(last)]) == counted


@given(seconds, st.integers(0, 600), st.integers(1, 900))
def test_a_deaf_time_as_long_as_the_silence_before_it_starts_the_deadline_anew(
    last: float, silent: int, least: int
) -> None:
    deaf = Deaf(at(last + silent), at(last + silent + max(silent, least)))

    assert counted_from(at(last), [deaf]) == deaf.ended_at


@given(seconds, intervals, graces, deafness, seconds)
def test_however_often_somebody_looks_the_steps_are_the_same(
    last: float, interval: float, grace: float | None, deaf: list[Deaf], look: float
) -> None:
    heard = Heard(at(0), at(last), thresholds(interval, grace))
    end = at(last + 20_000)
    online = Known(Liveness.ONLINE, at(0), at(0))
    whole = [(step.state, step.at) for step in steps(online, heard, deaf, end)]

    first = steps(online, heard, deaf, at(last + look))
    known = Known(first[-1].state, first[-1].at, at(last)) if first else online
    rest = steps(known, heard, deaf, end)

    assert [(step.state, step.at) for step in [*first, *rest]] == whole
    assert whole[-1][0] is Liveness.OFFLINE
    assert [moment for _, moment in whole] == sorted(moment for _, moment in whole)


@given(seconds, intervals, graces, deafness)
def test_a_step_is_true_right_after_its_deadline_and_not_at_it(
    last: float, interval: float, grace: float | None, deaf: list[Deaf]
) -> None:
    heard = Heard(at(0), at(last), thresholds(interval, grace))
    due = deadline(Liveness.ONLINE, heard, deaf)
    assert due is not None
    known = Known(Liveness.ONLINE, at(0), at(0))

    assert steps(known, heard, deaf, due) == []
    assert steps(known, heard, deaf, due + timedelta(microseconds=1))[0].at == due


windows = st.lists(
    st.tuples(seconds, st.none() | st.floats(1, 900)).map(
        lambda one: Planned(
            1, Scope.EVERYTHING, "", frozenset(), at(one[0]), None if one[1] is None else at(one[0] + one[1]), ""
        )
    ),
    max_size=5,
)


@given(seconds, st.floats(1, 900), windows)
def test_no_alarm_is_ever_due_within_a_window(became: float, patience: float, planned: list[Planned]) -> None:
    due = alarm_at(at(became), timedelta(seconds=patience), planned)

    if due is None:
        assert any(window.ends_at is None for window in planned)
    else:
        assert due >= at(became)
        assert not any(window.covers(due) for window in planned)


@given(st.floats(1.001, 50))
def test_a_flapping_robot_is_steady_when_its_falls_count_for_one(score: float) -> None:
    moment = steady_at(score, at(0))

    assert abs(decayed(score, at(0), moment) - ENDS_AT) < 1e-6
