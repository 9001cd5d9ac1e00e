"""Stamps rise; a clock that was wrong by more than a minute is not kept up with."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from heartbeat.ingest import schema
from heartbeat.ingest.beat import legacy_beat
from heartbeat.ingest.marks import marks_of
from heartbeat.ingest.recorder import Recorder
from heartbeat.ingest.runs import Run, place
from heartbeat.ingest.v2 import v2_beat
from heartbeat.rules.stamping import MOST_SET_BACK, stamp_after

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
WRONG = datetime(2037, 1, 1, tzinfo=UTC)


@given(st.timedeltas(-MOST_SET_BACK, timedelta(days=4000)))
def test_a_clock_set_back_by_a_minute_at_most_makes_no_earlier_stamp(step: timedelta) -> None:
    assert stamp_after(NOW, NOW + step) > NOW


def test_a_clock_that_comes_back_from_2037_is_followed() -> None:
    assert stamp_after(NOW, WRONG) == WRONG
    assert stamp_after(WRONG, NOW) == NOW


def test_a_run_that_was_heard_in_2037_goes_on_in_the_present() -> None:
    said = schema.convert({"robot_id": "XLE_1", "boot_id": "b", "sequence": 6})
    beat = v2_beat(said, 0, marks_of({}))
    beat.boot_id, beat.received_at = 1, NOW

    placed = place([beat], {beat.robot_key: Run(1, 5, WRONG, None)}, set())

    assert beat.at == NOW
    assert placed.runs[beat.robot_key].at == NOW


async def test_ingest_stamps_the_right_time_again_after_a_wrong_one(recorder: Recorder) -> None:
    recorder._stamped_at = WRONG
    beat = legacy_beat("r", marks_of({}), call="status", status="idle")

    await recorder.record(beat)

    assert beat.received_at is not None
    assert beat.received_at < datetime.now(UTC)
