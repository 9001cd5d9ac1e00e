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


class LegacyColumns:
    """The parameters of a legacy statement, which grow by some beats at a time."""

    def __init__(self) -> None:
        self._pieces: list[list[str]] = []

    def add(self, beats: Sequence[Any]) -> None:
        """Append rows."""
        self._pieces.append(list(map(array_items, zip(*map(_legacy_row, beats), strict=True))))

    def literals(self) -> list[str]:
        """One array a column."""
        return _joined(self._pieces)


class V2Columns:
    """The same of a v2 statement: input columns, then all motors' numbers and all cameras' rates as one array."""

    def __init__(self) -> None:
        self._pieces: list[list[str]] = []
        self._motors = self._cameras = 0

    def add(self, beats: Sequence[Any]) -> None:
        """Append rows."""
        motors: list[float] = []
        cameras: list[float | None] = []
        ends = []
        for beat in beats:
            motors += beat.motors
            cameras += beat.cameras
            to = self._motors + len(motors), self._cameras + len(cameras)
            ends.append((to[0], len(beat.motors), to[1], len(beat.cameras)))
        self._motors += len(motors)
        self._cameras += len(cameras)
        found = zip(*map(_v2_found, beats), strict=True)
        told = zip(*map(_told, beats), strict=True)
        self._pieces.append(list(map(array_items, (*found, *told, *zip(*ends, strict=True), motors, cameras))))

    def literals(self) -> list[str]:
        """One array a column."""
        return _joined(self._pieces)


def applied_columns(beats: Sequence[Beat]) -> list[str]:
    """The parameters of `Statements.apply` for beats of one kind: the log's numbers are not among them."""
    return v2_columns(beats)[: len(V2_INPUT)] if isinstance(beats[0], V2Beat) else legacy_columns(beats)


def legacy_columns(beats: Sequence[Any]) -> list[str]:
    """The parameters of a legacy statement for one batch."""
    columns = LegacyColumns()
    columns.add(beats)
    return columns.literals()


def v2_columns(beats: Sequence[Any]) -> list[str]:
    """The parameters of a v2 statement for one batch."""
    columns = V2Columns()
    columns.add(beats)
    return columns.literals()


def _joined(pieces: list[list[str]]) -> list[str]:
    """Columns of their pieces; one without numbers adds nothing."""
    return ["{" + ",".join(filter(None, column)) + "}" for column in zip(*pieces, strict=True)]
