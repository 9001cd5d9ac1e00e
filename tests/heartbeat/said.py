"""Heartbeats of a few robots, as ingest makes them of what it hears."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from heartbeat.ingest import schema
from heartbeat.ingest.beat import V2Beat
from heartbeat.ingest.marks import marks_of
from heartbeat.ingest.v2 import v2_beat

#: what a commit waits for
LOCK = "LOCK TABLE heartbeat_robot IN EXCLUSIVE MODE"
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


def said(robot: int, sequence: int, **fields: Any) -> V2Beat:
    """A heartbeat; the later its number the later it came."""
    motors = [{"id": place, "position_degrees": robot * 100.0 + place} for place in range(robot % 3)]
    document = {"robot_id": f"R{robot}", "boot_id": "b", "sequence": sequence, "motors": motors, **fields}
    text = msgspec.json.encode(document)
    beat = v2_beat(schema.decode(text), len(text), marks_of({}))
    beat.received_at = beat.at = NOON + timedelta(seconds=sequence, microseconds=robot)
    return beat


def the_next_day(beat: V2Beat) -> V2Beat:
    """The same as if it came a day later: that day's indexes do not know it."""
    beat.received_at = beat.at = beat.received_at + timedelta(days=1)
    return beat
