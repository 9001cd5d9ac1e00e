"""A batch of beats as the parameters of a statement: one array literal a column."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from heartbeat.ingest.arrays import array_items, array_literal
from heartbeat.ingest.beat import Beat, V2Beat
from heartbeat.ingest.columns import LEGACY_INPUT, V2_OWN

_FROM_THE_ID = {"robot_id": "who.shown", "robot_key": "who.robot_hex", "row_key": "who.row_hex"}
_legacy_row = attrgetter(*(_FROM_THE_ID.get(name, name) for name in LEGACY_INPUT))
_v2_own = attrgetter(*(_FROM_THE_ID.get(name, name) for name in V2_OWN))
_words = attrgetter("role", "side", "words")
_told = attrgetter("told")
_numbers = attrgetter("motors", "cameras")


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
        return list(map(array_items, zip(*map(_legacy_row, beats), strict=True)))


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
        known, words, ends = self._words, [], []
        for beat in beats:
            words.append(known.setdefault(_words(beat), len(known) + 1))
            self._motors += beat.motors_count
            self._cameras += beat.cameras_count
            ends.append((self._motors, beat.motors_count, self._cameras, beat.cameras_count))
        self._numbers += map(_numbers, beats)
        own = zip(*map(_v2_own, beats), strict=True)
        told = zip(*map(_told, beats), strict=True)
        return list(map(array_items, (*own, *told, words, *zip(*ends, strict=True))))


def applied_columns(beats: Sequence[Beat]) -> list[str]:
    """The parameters of `Statements.apply` for beats of one kind: the log's numbers are not among them."""
    if isinstance(beats[0], V2Beat):
        return V2Columns(beats).literals()[:-2]
    return LegacyColumns(beats).literals()
