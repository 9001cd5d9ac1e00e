"""A batch of beats as the parameters of a statement: one array literal a column."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Any

from heartbeat.ingest.arrays import array_items, array_literal
from heartbeat.ingest.beat import Beat, V2Beat
from heartbeat.ingest.columns import ARRIVED, LEGACY_INPUT, V2_OWN

_FROM_THE_ID = {"robot_id": "who.shown", "robot_key": "who.robot_hex", "row_key": "who.row_hex"}
_legacy_row = attrgetter(*(_FROM_THE_ID.get(name, name) for name in LEGACY_INPUT))
_v2_own = attrgetter(*(_FROM_THE_ID.get(name, name) for name in V2_OWN))
_words = attrgetter("role", "side", "words")
_told = attrgetter("told")
_numbers = attrgetter("motors", "cameras")
_counts = attrgetter("motors_count", "cameras_count")
_RECEIVED_AT, _AT = list(ARRIVED).index("received_at"), list(ARRIVED).index("at")


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
        """One array a column."""
        return ["{" + ",".join(column) + "}" for column in zip(*self._pieces, strict=True)]

    def _items(self, beats: Sequence[Any]) -> list[str]:
        raise NotImplementedError


class LegacyColumns(Columns):
    """Those of a legacy statement."""

    def _items(self, beats: Sequence[Any]) -> list[str]:
        return list(map(array_items, _arrived(map(_legacy_row, beats))))


class V2Columns(Columns):
    """Those of a v2 statement: input columns, the words, then all motors' numbers and all cameras' rates."""

    _motors = _cameras = 0

    def __init__(self, beats: Sequence[Any] = ()) -> None:
        self._words: dict[tuple[Any, ...], int] = {}
        self._numbers: list[tuple[str, str]] = []
        super().__init__(beats)

    def literals(self) -> list[str]:
        """One array a column."""
        words = zip(*((role, side, *told) for role, side, told in self._words), strict=True)
        return [
            *super().literals(),
            *map(array_literal, words),
            *("{" + ",".join(filter(None, shares)) + "}" for shares in zip(*self._numbers, strict=True)),
        ]

    def _items(self, beats: Sequence[Any]) -> list[str]:
        known = self._words
        words = [known.setdefault(said, len(known) + 1) for said in map(_words, beats)]
        self._numbers += map(_numbers, beats)
        motors, cameras = zip(*map(_counts, beats), strict=True)
        _, *motors_to = accumulate(motors, initial=self._motors)
        _, *cameras_to = accumulate(cameras, initial=self._cameras)
        self._motors, self._cameras = motors_to[-1], cameras_to[-1]
        own = _arrived(map(_v2_own, beats))
        told = zip(*map(_told, beats), strict=True)
        return list(map(array_items, (*own, *told, words, motors_to, motors, cameras_to, cameras)))


def _arrived(rows: Iterable[tuple[Any, ...]]) -> list[Sequence[Any]]:
    """Rows that begin with `columns.ARRIVED` as columns. When it was true is sent only if that was not its arrival."""
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    columns[_AT] = [
        None if at == arrived else at for arrived, at in zip(columns[_RECEIVED_AT], columns[_AT], strict=True)
    ]
    return columns


def applied_columns(beats: Sequence[Beat]) -> list[str]:
    """The parameters of `Statements.apply` for beats of one kind: the log's numbers are not among them."""
    if isinstance(beats[0], V2Beat):
        return V2Columns(beats).literals()[:-2]
    return LegacyColumns(beats).literals()
