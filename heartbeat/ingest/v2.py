"""A v2 heartbeat as it is logged."""

from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import astuple

from heartbeat.ingest.beat import OVERHEAD_BYTES, V2Beat, identity_of
from heartbeat.ingest.marks import Marks
from heartbeat.ingest.profiles import numbers_of, shape_of
from heartbeat.ingest.schema import Base, Network, Teleop, V2Heartbeat
from heartbeat.rules.kind import kind_from_word

#: of a four-byte number with all its digits
SMALLEST = 1.2e-38
_encode = msgspec.json.Encoder().encode
_kind = lru_cache(maxsize=1_024)(kind_from_word)
_SENT_AT, _NETWORK = (V2Heartbeat.__struct_fields__.index(name) for name in ("sent_at", "network"))
#: so many fields of an operator's signals have columns, the first ones
_WITH_COLUMNS = Teleop.__struct_fields__.index("driver") + 1
_NOTHING_MORE = (None,) * (len(Teleop.__struct_fields__) - _WITH_COLUMNS)
_NO_NETWORK, _NO_BASE, _NO_TELEOP = Network(), Base(), Teleop()


def v2_beat(said: V2Heartbeat, text: bytes, marks: Marks) -> V2Beat:
    """A v2 heartbeat that came as `text`. Its identity: its run and number, or else its request's."""
    who = identity_of(said.robot_id)
    shape = shape_of(said, text)
    network, base, teleop = said.network or _NO_NETWORK, said.base or _NO_BASE, said.teleop or _NO_TELEOP
    numbered = said.boot_id is not None and said.sequence is not None
    sequence = said.sequence if numbered else None
    operation = None if said.teleop is None else f'"teleop":{_encode(said.teleop).decode()}'
    signals = astuple(teleop)
    more = operation if signals[_WITH_COLUMNS:] != _NOTHING_MORE else None
    # In the order of `columns.V2_TOLD`: first what is made of it, then what goes as it came, whole slices of it.
    told = (
        *(who.shown, shape.health, shape.letters, sequence, said.next_in_s),
        *(_kind(said.kind) if said.kind else "", said.site or "", said.firmware or ""),
        None if operation is None else f"{{{operation}}}",
        _rest(said, more),
        said.boot_id,
        *astuple(said)[_SENT_AT:_NETWORK],
        *astuple(network),
        *astuple(base),
        *signals[:_WITH_COLUMNS],
    )
    return V2Beat(
        who=who,
        robot_key=who.robot_key,
        row_key=who.row_key,
        role=marks.role,
        side=marks.side,
        address=marks.address,
        request_id=None if numbered else marks.request_id,
        call="heartbeat",
        size=OVERHEAD_BYTES + len(text),
        told=told,
        boot_name=said.boot_id,
        sequence=sequence,
        sent_at=said.sent_at,
        profile=shape.profile,
        motors=numbers_of(shape, said.motors),
        cameras=[camera.fps for camera in said.cameras],
    )


def _rest(said: V2Heartbeat, operation: str | None) -> str | None:
    """What has no column. `operation` is the teleop document's member, where it says more than its columns hold."""
    if said.extra is None:
        return f"{{{operation}}}" if operation else None
    extra = f'"extra":{_encode(said.extra).decode()}'
    return f"{{{operation},{extra}}}" if operation else f"{{{extra}}}"


def flush_tiny(beat: V2Beat) -> bool:
    """Make zeros of numbers that are too small for four bytes, as the robot's own would be; True if there were any."""
    told = tuple([_flushed(value) for value in beat.told])
    motors = [_flushed(value) for value in beat.motors]
    changed = told != beat.told or motors != beat.motors
    beat.told, beat.motors = told, motors
    return changed


def _flushed(value: Any) -> Any:
    return 0.0 if isinstance(value, float) and abs(value) < SMALLEST else value
