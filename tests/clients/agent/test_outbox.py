"""Signals that wait until somebody takes them."""

import pytest
from lekiwi_agent.outbox import MOST_IN_ONE, Answered, Outbox


def filled(number: int, most: int = 600) -> Outbox:
    outbox = Outbox(most)
    for each in range(number):
        outbox.add({"measured_ms": each})
    return outbox


def test_signals_go_oldest_first_and_stay_until_they_are_taken() -> None:
    outbox = filled(MOST_IN_ONE + 1)
    first = outbox.take()
    outbox.answered(Answered(503), 10.0)

    assert outbox.take() == first
    outbox.answered(Answered(202), 20.0)
    assert [each["measured_ms"] for each in outbox.take()] == [MOST_IN_ONE]


@pytest.mark.parametrize(("answer", "wait"), [(Answered(None), 1), (Answered(503, 7.0), 7), (Answered(404), 60)])
def test_it_waits_before_it_tries_again(answer: Answered, wait: float) -> None:
    outbox = filled(1)
    outbox.take()

    assert outbox.answered(answer, 100.0)
    assert outbox.due_at() == 100.0 + wait


def test_waits_double_up_to_half_a_minute_and_begin_anew_after_success() -> None:
    outbox, waits = filled(1), []
    for _ in range(7):
        outbox.take()
        outbox.answered(Answered(None), 0.0)
        waits.append(outbox.due_at())

    assert waits == [1, 2, 4, 8, 16, 30, 30]
    outbox.take()
    outbox.answered(Answered(202), 0.0)
    assert outbox.due_at() is None


def test_what_is_refused_is_not_sent_again() -> None:
    outbox = filled(1)
    outbox.take()

    assert outbox.answered(Answered(422), 0.0) == "signals are refused (422)"
    assert (len(outbox), outbox.counts["refused"]) == (0, 1)


def test_a_full_outbox_drops_the_oldest_and_counts_it_also_while_some_are_on_their_way() -> None:
    outbox = filled(3, most=3)
    assert [each["measured_ms"] for each in outbox.take()] == [0, 1, 2]
    outbox.add({"measured_ms": 3})
    outbox.answered(Answered(202), 0.0)

    assert [each["measured_ms"] for each in outbox.take()] == [3]
    assert outbox.counts["dropped"] == 1
