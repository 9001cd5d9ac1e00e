"""A v2 heartbeat as it is logged."""

from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import astuple

from heartbeat.ingest.arrays import number_items
from heartbeat.ingest.beat import OVERHEAD_BYTES, V2Beat, identity_of
from heartbeat.ingest.marks import Marks
from heartbeat.ingest.profiles import shape_of
from heartbeat.ingest.schema import Base, Heard, Network, Teleop

#: of a four-byte number with all its digits
SMALLEST = 1.2e-38
_encode = msgspec.json.Encoder().encode
_fps = attrgetter("fps")
_levels = attrgetter(
    *("message", "battery_percent", "cpu_temperature_celsius", "cpu_load_percent", "memory_percent", "disk_percent")
)
#: so many fields of an operator's signals have columns, the first ones
_WITH_COLUMNS = Teleop.__struct_fields__.index("driver") + 1
_NOTHING_MORE = (None,) * (len(Teleop.__struct_fields__) - _WITH_COLUMNS)
_NO_NETWORK, _NO_BASE, _NO_TELEOP = Network(), Base(), Teleop()


def v2_beat(said: Heard, size: int, marks: Marks) -> V2Beat:
    """A v2 heartbeat that came in `size` bytes. Its identity: its run and number, or else its request's.

    Raises Invalid when its motors are not valid.
    """
    who = identity_of(said.robot_id)
    shape, motors = shape_of(said)
    network, base, teleop = said.network or _NO_NETWORK, said.base or _NO_BASE, said.teleop or _NO_TELEOP
    numbered = said.boot_id is not None and said.sequence is not None
    sequence = said.sequence if numbered else None
    operation = None if said.teleop is None else f'"teleop":{_encode(said.teleop).decode()}'
    signals = astuple(teleop)
    more = operation if signals[_WITH_COLUMNS:] != _NOTHING_MORE else None
    # In the order of `columns.V2_WORDS` and `V2_TOLD`.
    age, rate, watchdog_active, observers, host_up, driver = signals[:_WITH_COLUMNS]
    words = (*shape.words, said.status, watchdog_active, host_up, driver)
    told = (
        *(who.shown, sequence, said.next_in_s, None if operation is None else f"{{{operation}}}"),
        *(_rest(said, more), said.boot_id, said.sent_at),
        *_levels(said),
        *astuple(network),
        *astuple(base),
        *(age, rate, observers),
    )
    # In the order of V2Beat: by name it takes four times as long.
    return V2Beat(
        who,
        who.robot_key,
        who.row_key,
        marks.role,
        marks.side,
        marks.address,
        None if numbered else marks.request_id,
        "heartbeat",
        OVERHEAD_BYTES + size,
        None,
        None,
        words,
        told,
        said.boot_id,
        sequence,
        said.sent_at,
        shape.profile,
        motors,
        shape.motors_count,
        number_items(list(map(_fps, said.cameras))),
        len(said.cameras),
    )


def _rest(said: Heard, operation: str | None) -> str | None:
    """What has no column. `operation` is the teleop document's member, where it says more than its columns hold."""
    if said.extra is None:
        return f"{{{operation}}}" if operation else None
    extra = f'"extra":{_encode(said.extra).decode()}'
    return f"{{{operation},{extra}}}" if operation else f"{{{extra}}}"


def flush_tiny(beat: V2Beat) -> bool:
    """Make zeros of numbers that are too small for four bytes, as the robot's own would be; True if there were any."""
    told = tuple([_flushed(value) for value in beat.told])
    motors = number_items([_flushed(value) for value in msgspec.json.decode(f"[{beat.motors}]")])
    changed = told != beat.told or motors != beat.motors
    beat.told, beat.motors = told, motors
    return changed


def _flushed(value: Any) -> Any:
    return 0.0 if isinstance(value, float) and abs(value) < SMALLEST else value
