"""Which statement stores a batch."""

import pytest

from heartbeat.ingest.statement import V2
from tests.heartbeat.said import said


@pytest.mark.parametrize(
    ("robots", "expects_copies", "sql"),
    [
        ([1, 2], False, V2.record_new),
        ([1, 2], True, V2.record_once_each),
        ([1, 2, 1], False, V2.record),
        ([1, 2, 1], True, V2.record),
    ],
)
def test_rows_are_looked_for_only_when_copies_are_expected(robots: list[int], expects_copies: bool, sql: str) -> None:
    beats = [said(robot, sequence) for sequence, robot in enumerate(robots)]

    assert V2.for_batch(beats, expects_copies=expects_copies) == sql
