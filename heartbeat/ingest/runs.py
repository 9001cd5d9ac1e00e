"""What ingest remembers of robots between commits, and where each v2 heartbeat of a batch belongs.

Memory changes only after a commit, and is dropped with the connection: what was not confirmed is read again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from heartbeat.ingest.beat import V2Beat
from heartbeat.rules.clocks import Clock, heard, seconds_late
from heartbeat.rules.stamping import MOST_SET_BACK

_TICK = timedelta(microseconds=1)


class Run(msgspec.Struct, gc=False, frozen=True):
    """The newest v2 heartbeat of a robot: its run, its number, when it was so; and how the robot's clock goes."""

    boot_id: int | None
    sequence: int
    at: datetime | None
    clock: Clock | None


NEVER = Run(None, -1, None, None)


class Runs(Protocol):
    """The run of each robot."""

    def get(self, robot_key: bytes, default: Run, /) -> Run:
        """What was said last."""
        ...


@dataclass(slots=True)
class Placed:
    """A batch, sorted out: what may be stored, what the log has, and what to remember once it is committed."""

    fresh: list[V2Beat] = field(default_factory=list)
    duplicates: list[V2Beat] = field(default_factory=list)
    runs: dict[bytes, Run] = field(default_factory=dict)


def to_look_up(beats: Iterable[V2Beat], runs: Runs) -> list[V2Beat]:
    """The beats of which memory cannot say whether they are stored."""
    return [beat for beat in beats if _may_be_stored(beat, runs.get(beat.robot_key, NEVER))]


def _may_be_stored(beat: V2Beat, run: Run) -> bool:
    """It is not newer than the newest of the same run."""
    if beat.sequence is None or beat.boot_id is None:
        return False
    return run.boot_id != beat.boot_id or beat.sequence <= run.sequence


def place_newer(beats: Iterable[V2Beat], runs: Runs) -> dict[bytes, Run] | None:
    """The same as `place` when each beat is newer than all before it of its run: what to remember. None when not."""
    after: dict[bytes, Run] = {}
    for beat in beats:
        run = after.get(beat.robot_key) or runs.get(beat.robot_key, NEVER)
        if _may_be_stored(beat, run):
            return None
        _place(beat, after, run)
    return after


def place(beats: Iterable[V2Beat], runs: Runs, stored: set[Any]) -> Placed:
    """Sort a batch out, in the order of arrival. `stored`: (boot_id, sequence) of what the log has.

    Gives each fresh beat its `at`: within a run the number decides what is newer, between runs the time.
    """
    placed = Placed()
    seen: set[tuple[int, int]] = set()
    for beat in beats:
        if beat.boot_id is not None and beat.sequence is not None:
            identity = (beat.boot_id, beat.sequence)
            if identity in seen or identity in stored:
                placed.duplicates.append(beat)
                continue
            seen.add(identity)
        _place(beat, placed.runs, placed.runs.get(beat.robot_key) or runs.get(beat.robot_key, NEVER))
        placed.fresh.append(beat)
    return placed


def _place(beat: V2Beat, after: dict[bytes, Run], run: Run) -> None:
    """Give it its `at`, and put the run of its robot after it into `after`."""
    received_at = beat.received_at
    assert received_at is not None
    clock, at = run.clock, received_at
    if beat.sent_at is not None:
        difference = (received_at - beat.sent_at).total_seconds()
        clock = heard(clock, difference, received_at.timestamp())
        if late := seconds_late(clock, difference):
            at = received_at - timedelta(seconds=late)
        beat.clock_offset_seconds = clock.offset
    beat.at = at
    if beat.boot_id is None or beat.sequence is None:
        after[beat.robot_key] = Run(run.boot_id, run.sequence, run.at, clock)
        return
    if run.at is not None and run.at - received_at > MOST_SET_BACK:
        # It was stamped by a clock that was ahead: what it says of the order in time is worth nothing.
        run = Run(run.boot_id, run.sequence, None, clock)
    if run.at is not None and run.boot_id == beat.boot_id:
        if beat.sequence > run.sequence:
            beat.at = at = at if at > run.at else run.at + _TICK
        elif at >= run.at:
            beat.at = at = run.at - _TICK
    if run.at is None or at >= run.at:
        after[beat.robot_key] = Run(beat.boot_id, beat.sequence, at, clock)
    elif clock is not run.clock:
        after[beat.robot_key] = Run(run.boot_id, run.sequence, run.at, clock)
