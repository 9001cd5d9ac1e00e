"""The next batch, made ready while the one before it is under way.

Naming, placing and encoding a batch after the commit before it let PostgreSQL wait for a fifth of the time. What needs
nothing of the database (robots that were met, a higher number of a known run) is made ready as it arrives.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day

from heartbeat.ingest.beat import Beat, LegacyBeat, V2Beat
from heartbeat.ingest.parameters import Columns, LegacyColumns, V2Columns
from heartbeat.ingest.registers import Registers
from heartbeat.ingest.runs import Run, place_newer
from heartbeat.ingest.statement import LEGACY, V2, Statements

#: copies and retries of one request arrive within seconds: how far they are looked for across midnight
ACROSS_MIDNIGHT = timedelta(minutes=10)


def is_soon_after_midnight(moment: datetime) -> bool:
    """Whether the day's indexes do not know yet what may come again."""
    return moment - datetime.combine(moment.date(), time_of_day(), UTC) <= ACROSS_MIDNIGHT


class Layers:
    """Runs as they will be once the commits before are through: the latest layer that knows a robot counts."""

    def __init__(self, *layers: Mapping[bytes, Run]) -> None:
        self._layers = layers

    def get(self, robot_key: bytes, default: Run) -> Run:
        """The run of a robot."""
        for layer in self._layers:
            if (run := layer.get(robot_key)) is not None:
                return run
        return default


#: what stores them, beats of one kind, and these as its parameters
Part = tuple[Statements, Sequence[Beat], Columns]


class Ahead:
    """A batch that grows, on top of what `registers` know and of batches under way, the latest of them first."""

    def __init__(self, registers: Registers, *under_way: Mapping[bytes, Run]) -> None:
        self._registers = registers
        self._ready = True
        self._beats: list[Beat] = []
        self._legacy: list[LegacyBeat] = []
        self._v2: list[V2Beat] = []
        self._legacy_columns = LegacyColumns()
        self._v2_columns = V2Columns()
        #: what to remember once it is committed
        self.runs: dict[bytes, Run] = {}
        self._known = Layers(self.runs, *under_way, registers.runs)

    @property
    def parts(self) -> list[Part]:
        """What is to be sent."""
        v2, legacy = (V2, self._v2, self._v2_columns), (LEGACY, self._legacy, self._legacy_columns)
        return [part for part in (v2, legacy) if part[1]]

    def add(self, beats: Sequence[Beat]) -> None:
        """Make ready what comes next in the batch. One that needs the database takes the usual way with all of them."""
        self._ready = self._ready and self._make_ready(beats)

    def begins(self, beats: Sequence[Beat]) -> bool:
        """Whether what was added is the first of this batch."""
        return self._beats == beats[: len(self._beats)]

    def completes(self, beats: Sequence[Beat]) -> bool:
        """Whether a batch that begins with this is ready as a whole, once its last ones were added."""
        if self._ready and len(beats) > len(self._beats):
            self.add(beats[len(self._beats) :])
        return self._ready

    def _make_ready(self, beats: Sequence[Beat]) -> bool:
        if any(beat.row_key not in self._registers.met for beat in beats):
            return False
        first = beats[0].received_at
        if first is None or is_soon_after_midnight(first):
            return False
        v2 = [beat for beat in beats if isinstance(beat, V2Beat)]
        if v2:
            after = place_newer(v2, self._known) if self._registers.name_known(v2) else None
            if after is None:
                return False
            self.runs.update(after)
            self._v2 += v2
            self._v2_columns.add(v2)
        if len(v2) < len(beats):
            legacy = [beat for beat in beats if isinstance(beat, LegacyBeat)]
            self._legacy += legacy
            self._legacy_columns.add(legacy)
        self._beats += beats
        return True
