"""Which beats memory alone can place, and that it places them as the log would."""

import random
from datetime import UTC, datetime, timedelta

import msgspec

from heartbeat.ingest import schema
from heartbeat.ingest.beat import V2Beat
from heartbeat.ingest.marks import marks_of
from heartbeat.ingest.runs import NEVER, Run, place, place_newer
from heartbeat.ingest.v2 import v2_beat

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def said(robot: int, sequence: int | None, arrival: int, seconds_ago: float = 0) -> V2Beat:
    """A heartbeat of the run that has the number of its robot; `arrival` orders those of a batch."""
    received_at = NOON + timedelta(milliseconds=arrival)
    document = {
        "robot_id": f"R{robot}",
        "boot_id": "b",
        "sequence": sequence,
        "sent_at": received_at - timedelta(seconds=seconds_ago),
    }
    text = msgspec.json.encode(document)
    beat = v2_beat(schema.decode(text), len(text), marks_of({}))
    beat.received_at = beat.at = received_at
    beat.boot_id = None if sequence is None else robot
    return beat


def test_newer_beats_are_placed_by_memory_as_they_are_with_the_log() -> None:
    chance = random.Random(7)
    sequences = {robot: chance.randrange(100) for robot in range(5)}
    runs = {said(robot, 0, 0).robot_key: Run(robot, sequences[robot], NOON, None) for robot in range(5)}
    batches: list[list[V2Beat]] = [[], []]
    for arrival in range(200):
        robot = chance.randrange(5)
        sequences[robot] += chance.randrange(1, 3)
        sequence = sequences[robot] if chance.random() < 0.9 else None
        seconds_ago = chance.choice([0, 0.3, 50])
        for batch in batches:
            batch.append(said(robot, sequence, arrival, seconds_ago))

    placed = place(batches[0], runs, set())

    assert not placed.duplicates
    assert place_newer(batches[1], runs) == placed.runs
    assert [beat.at for beat in batches[1]] == [beat.at for beat in batches[0]]


def test_what_the_log_may_have_is_left_to_it() -> None:
    runs = {said(1, 0, 0).robot_key: Run(1, 5, NOON, None)}

    assert place_newer([said(1, 6, 0), said(1, 7, 1)], runs) is not None
    assert place_newer([said(1, 5, 0)], runs) is None
    assert place_newer([said(1, 7, 0), said(1, 6, 1)], runs) is None
    assert place_newer([said(1, 7, 0), said(1, 7, 1)], runs) is None
    assert place_newer([said(2, 1, 0)], {said(2, 1, 0).robot_key: NEVER}) is None
