"""A batch of beats as the parameters of a statement: one array literal a column."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from heartbeat.ingest.arrays import array_literal
from heartbeat.ingest.beat import Beat, V2Beat
from heartbeat.ingest.columns import ARRIVED, LEGACY_INPUT, V2_FOUND, V2_INPUT

_FROM_THE_ID = {"robot_id": "who.shown", "robot_key": "who.robot_hex", "row_key": "who.row_hex"}
_legacy_row = attrgetter(*(_FROM_THE_ID.get(name, name) for name in LEGACY_INPUT))
_v2_found = attrgetter(*(_FROM_THE_ID.get(name, name) for name in (*ARRIVED, *V2_FOUND)))
_told = attrgetter("told")


def applied_columns(beats: Sequence[Beat]) -> list[str]:
    """The parameters of `Statements.apply` for beats of one kind: the log's numbers are not among them."""
    return v2_columns(beats)[: len(V2_INPUT)] if isinstance(beats[0], V2Beat) else legacy_columns(beats)


def legacy_columns(beats: Sequence[Any]) -> list[str]:
    """The parameters of a legacy statement."""
    return list(map(array_literal, zip(*map(_legacy_row, beats), strict=True)))


def v2_columns(beats: Sequence[Any]) -> list[str]:
    """The parameters of a v2 statement: input columns, then all motors' numbers and all cameras' rates as one array."""
    motors: list[float] = []
    cameras: list[float | None] = []
    ends = []
    for beat in beats:
        motors += beat.motors
        cameras += beat.cameras
        ends.append((len(motors), len(beat.motors), len(cameras), len(beat.cameras)))
    found = zip(*map(_v2_found, beats), strict=True)
    told = zip(*map(_told, beats), strict=True)
    return list(map(array_literal, (*found, *told, *zip(*ends, strict=True), motors, cameras)))
