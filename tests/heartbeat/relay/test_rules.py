"""Every accepted heartbeat gets one outcome, in order, whatever legacy does."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heartbeat.rules.relaying import Finished, Item, Limits, Outcome, Window

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
_REPLIES = st.sampled_from(["taken", "refused", "failed"])


def item(number: int, robot: int = 0, *, late_by: float = 0.0) -> Item:
    received = NOON + timedelta(milliseconds=number)
    return Item(received, received - timedelta(seconds=late_by), bytes([robot]), number, {})


def merged(total: Finished, more: Finished) -> Finished:
    return Finished(more.cursor or total.cursor, total.counts + more.counts, {**total.relayed, **more.relayed})


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.0, 0.005, 4.0, 60.0])), min_size=1, max_size=60),
    st.lists(st.tuples(_REPLIES, st.floats(0, 3), st.integers(0, 4)), min_size=1, max_size=80),
)
def test_every_heartbeat_ends_with_one_outcome_and_no_robot_goes_backwards(
    said: list[tuple[int, float]], replies: list[tuple[str, float, int]]
) -> None:
    window = Window(Limits(), {})
    items = [item(number, robot, late_by=late) for number, (robot, late) in enumerate(said)]
    window.extend(items)
    now, total, under_way = NOON, Finished(), []
    told: dict[bytes, list[datetime]] = {}
    for reply, seconds, most in replies * 20:
        while len(under_way) <= most and (sent := window.next(now)) is not None:
            assert sent.key not in {other.key for other in under_way}, "one at a time for each robot"
            under_way.append(sent)
        now += timedelta(seconds=seconds)
        if under_way:
            done = under_way.pop(0)
            if reply == "taken":
                told.setdefault(done.key, []).append(done.at)
                window.settle(done, Outcome.RELAYED)
            elif reply == "refused":
                window.settle(done, Outcome.REFUSED)
            else:
                done.attempts += 1
                window.put_back(done)
        total = merged(total, window.take_finished())
        assert total.counts.total() + len(window) == len(items)
    while under_way:
        window.settle(under_way.pop(), Outcome.FAILED)
    now += timedelta(seconds=3600)
    window.expire(now)
    total = merged(total, window.take_finished())

    assert total.counts.total() == len(items)
    assert total.cursor == items[-1].received_at
    assert total.counts[Outcome.RELAYED] == sum(map(len, told.values()))
    for moments in told.values():
        assert moments == sorted(set(moments))


def test_the_cursor_stays_before_what_is_not_done() -> None:
    window = Window(Limits(), {})
    first, second = item(1, robot=1), item(2, robot=2)
    window.extend([first, second])
    assert (window.next(NOON), window.next(NOON)) == (first, second)

    window.settle(second, Outcome.RELAYED)
    assert window.take_finished().cursor is None

    window.settle(first, Outcome.RELAYED)
    finished = window.take_finished()
    assert finished.cursor == second.received_at
    assert finished.counts[Outcome.RELAYED] == 2


def test_history_that_arrives_late_is_not_told() -> None:
    window = Window(Limits(), {})
    window.extend([item(1, late_by=60)])

    assert window.next(NOON) is None
    assert window.take_finished().counts == {Outcome.TOO_OLD: 1}


@pytest.mark.parametrize(("silent", "outcome"), [(True, Outcome.FAILED), (False, Outcome.TOO_OLD)])
def test_what_became_too_old_while_legacy_was_silent_has_failed(silent: bool, outcome: Outcome) -> None:
    window = Window(Limits(), {})
    window.extend([item(0)])

    assert window.next(NOON + timedelta(hours=1), silent=silent) is None
    assert window.take_finished().counts == {outcome: 1}


def test_what_is_older_than_what_legacy_has_is_not_told() -> None:
    window = Window(Limits(), {bytes([0]): NOON})
    window.extend([item(1, late_by=1)])

    assert window.next(NOON) is None
    assert window.take_finished().counts == {Outcome.COALESCED: 1}


def test_behind_it_tells_the_newest_of_each_robot() -> None:
    window = Window(Limits(), {})
    items = [item(number, robot=number % 2) for number in range(10)]
    window.extend(items)
    later = NOON + timedelta(seconds=3)

    assert [window.next(later), window.next(later), window.next(later)] == [items[8], items[9], None]


def test_an_error_is_tried_again_a_few_times() -> None:
    window = Window(Limits(), {})
    only = item(1)
    window.extend([only])
    for _ in range(Limits().attempts):
        assert window.next(NOON) is only
        only.attempts += 1
        window.put_back(only)

    assert window.next(NOON) is None
    assert window.take_finished().counts == {Outcome.FAILED: 1}
