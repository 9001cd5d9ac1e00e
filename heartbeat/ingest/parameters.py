"""A batch of beats as the parameters of a statement: one array literal a column."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from heartbeat.ingest.arrays import array_items
from heartbeat.ingest.beat import Beat, V2Beat
from heartbeat.ingest.columns import ARRIVED, LEGACY_INPUT, V2_FOUND, V2_INPUT

_FROM_THE_ID = {"robot_id": "who.shown", "robot_key": "who.robot_hex", "row_key": "who.row_hex"}
_legacy_row = attrgetter(*(_FROM_THE_ID.get(name, name) for name in LEGACY_INPUT))
_v2_found = attrgetter(*(_FROM_THE_ID.get(name, name) for name in (*ARRIVED, *V2_FOUND)))
_told = attrgetter("told")
_NUMBERS = attrgetter("motors"), attrgetter("cameras")


class Columns:
    """The parameters of a statement, one array a column, which grow by some beats at a time."""

    def __init__(self, beats: Sequence[Any] = ()) -> None:
        self._pieces: list[list[str]] = []
        if beats:
            self.add(beats)

    def add(self, beats: Sequence[Any]) -> None:
        """Append rows."""
        self._pieces.append(self._items(beats))

    def literals(self) -> list[str]:
        """One array a column; a piece without numbers adds nothing."""
        return ["{" + ",".join(filter(None, column)) + "}" for column in zip(*self._pieces, strict=True)]

    def _items(self, beats: Sequence[Any]) -> list[str]:
        raise NotImplementedError


class LegacyColumns(Columns):
    """Those of a legacy statement."""

    def _items(self, beats: Sequence[Any]) -> list[str]:
        return list(map(array_items, zip(*map(_legacy_row, beats), strict=True)))


class V2Columns(Columns):
    """Those of a v2 statement: input columns, then all motors' numbers and all cameras' rates as one array."""

    _motors = _cameras = 0

    def _items(self, beats: Sequence[Any]) -> list[str]:
        ends = []
        for beat in beats:
            self._motors += beat.motors_count
            self._cameras += beat.cameras_count
            ends.append((self._motors, beat.motors_count, self._cameras, beat.cameras_count))
        found = zip(*map(_v2_found, beats), strict=True)
        told = zip(*map(_told, beats), strict=True)
        numbers = (",".join(filter(None, map(share, beats))) for share in _NUMBERS)
        return [*map(array_items, (*found, *told, *zip(*ends, strict=True))), *numbers]


def applied_columns(beats: Sequence[Beat]) -> list[str]:
    """The parameters of `Statements.apply` for beats of one kind: the log's numbers are not among them."""
    if isinstance(beats[0], V2Beat):
        return V2Columns(beats).literals()[: len(V2_INPUT)]
    return LegacyColumns(beats).literals()
