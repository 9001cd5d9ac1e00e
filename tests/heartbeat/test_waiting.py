"""What shares a commit."""

import time

import msgspec

from heartbeat.ingest.beat import legacy_beat
from heartbeat.ingest.marks import marks_of
from heartbeat.ingest.waiting import (
    ALWAYS_TOGETHER,
    FORMED_AT_ONCE,
    MOST_BYTES_PER_COMMIT,
    MOST_ROWS_BESIDE_SINGLES,
    MOST_ROWS_OF_BACKLOGS,
    MOST_ROWS_PER_COMMIT,
    Queue,
    Waiting,
    share_of,
)

CHUNK = 50


def waiting(rows: int) -> Waiting:
    beats = [legacy_beat(f"r{number}", marks_of({}), call="status", status="idle") for number in range(rows)]
    return Waiting(beats, 1, lambda outcomes: None, time.monotonic() + 60)


def backlogs(queue: Queue) -> None:
    for _ in range(2 * MOST_ROWS_OF_BACKLOGS // CHUNK):
        queue.enter_backlog(waiting(CHUNK))


def rows_of_backlogs(batch: list[Waiting]) -> int:
    return sum(len(one.beats) for one in batch if len(one.beats) == CHUNK)


def test_backlogs_fill_a_commit_for_which_nobody_waits() -> None:
    queue = Queue()
    backlogs(queue)

    assert rows_of_backlogs(queue.take()) == MOST_ROWS_OF_BACKLOGS


def test_beside_whoever_waits_for_an_answer_backlogs_have_a_small_share() -> None:
    queue = Queue()
    backlogs(queue)
    queue.enter(single := waiting(1))

    batch = queue.take()

    assert batch[0] is single
    assert rows_of_backlogs(batch) == MOST_ROWS_BESIDE_SINGLES
    assert rows_of_backlogs(queue.take()) == MOST_ROWS_OF_BACKLOGS


def test_what_is_made_ready_ahead_is_all_that_is_sure_to_be_in_the_next_commit() -> None:
    queue = Queue()
    for _ in range(FORMED_AT_ONCE - 1):
        queue.enter(waiting(1))
    assert queue.form() == []

    for _ in range(4 * MOST_ROWS_PER_COMMIT):
        queue.enter(waiting(1))

    assert len(queue.form()) == MOST_ROWS_PER_COMMIT
    assert queue.form() == []
    assert len(queue.take()) == MOST_ROWS_PER_COMMIT
    assert sum(len(queue.take()) for _ in range(8)) == 3 * MOST_ROWS_PER_COMMIT + FORMED_AT_ONCE - 1


def test_calls_that_come_one_by_one_are_made_ready_many_at_a_time() -> None:
    queue = Queue()
    formed = []
    for _ in range(10 * FORMED_AT_ONCE):
        queue.enter(waiting(1))
        formed.append(len(queue.form()))

    made = [rows for rows in formed if rows]
    assert made
    assert min(made) == FORMED_AT_ONCE


def test_few_calls_share_a_commit_whatever_the_one_before_had() -> None:
    queue = Queue()
    for _ in range(ALWAYS_TOGETHER):
        queue.enter(waiting(1))

    assert len(queue.take()) == ALWAYS_TOGETHER


def test_commits_of_a_steady_load_become_alike() -> None:
    under_way, ready = 60, 190
    for _ in range(20):  # whoever was answered speaks again
        taken = min(ready, share_of(ready, under_way))
        under_way, ready = taken, ready - taken + under_way

    assert abs(under_way - ready) <= 2


def test_after_a_quiet_time_a_crowd_is_through_in_a_few_commits() -> None:
    queue = Queue()
    for _ in range(2 * MOST_ROWS_PER_COMMIT):
        queue.enter(waiting(1))

    assert sum(len(queue.take()) for _ in range(4)) == 2 * MOST_ROWS_PER_COMMIT


def test_what_is_made_ready_ahead_is_bounded_by_bytes() -> None:
    queue = Queue()
    for _ in range(FORMED_AT_ONCE):
        queue.enter(msgspec.structs.replace(waiting(1), size=MOST_BYTES_PER_COMMIT // 4))

    assert len(queue.form()) == 4
