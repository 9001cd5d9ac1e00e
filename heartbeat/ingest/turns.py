"""v2 heartbeats that arrive close together are taken together.

Between two system calls every step finds the processor's caches full of everything else: reading and judging a
heartbeat there cost 47 µs. For some dozens in a row it costs 31, and the objects of one are made in the place of the
one before.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from heartbeat.errors import NotRecorded, Unavailable
from heartbeat.ingest import schema
from heartbeat.ingest.access import Access, Admitted
from heartbeat.ingest.beat import V2Beat
from heartbeat.ingest.marks import Marks
from heartbeat.ingest.recorder import Recorder
from heartbeat.ingest.v2 import v2_beat
from heartbeat.ingest.waiting import Outcome

log = structlog.get_logger(__name__)

#: so many are taken at once
AT_ONCE = 64
#: so long at most a heartbeat waits for others; usually the commit under way ends before
LONGEST_SECONDS = 0.01


class Arrival:
    """A v2 heartbeat that came as `text` from whom `admitted` names; `back` is the way back to its robot.

    Once it is read there is a `beat`, and no text any more.
    """

    __slots__ = ("admitted", "back", "beat", "marks", "text")

    beat: V2Beat

    def __init__(self, text: bytes, admitted: Admitted, marks: Marks, back: Any) -> None:
        self.text = text
        self.admitted = admitted
        self.marks = marks
        self.back = back

    def read(self) -> schema.Heard | None:
        """What it says; None when it is none, and was taken otherwise. Raises Invalid."""
        return schema.decode(self.text)

    def refuse_invalid(self, error: schema.Invalid) -> None:
        """It says what cannot be."""
        raise NotImplementedError

    def refuse_as_others(self) -> None:
        """It speaks of a robot that its token does not speak for."""
        raise NotImplementedError

    def ask_to_wait(self, seconds: float) -> None:
        """Its robot calls too often."""
        raise NotImplementedError

    def fail(self) -> None:
        """A fault of ours."""
        raise NotImplementedError

    def done(self, outcomes: Sequence[Outcome | NotRecorded] | Unavailable) -> None:
        """What became of it."""
        raise NotImplementedError


class Turn:
    """Gathers arrivals while a commit is under way, which they could not share anyway; else until the loop comes round.

    What was gathered is taken as soon as the next commit is under way, or before it if that had nothing else to do.
    """

    def __init__(self, recorder: Recorder, access: Access) -> None:
        self._recorder = recorder
        self._access = access
        self._arrived: list[Arrival] = []
        self._ending: asyncio.Handle | None = None
        recorder.take_gathered = self.end

    def add(self, arrival: Arrival) -> None:
        """Take it with whatever else arrives in this turn."""
        self._arrived.append(arrival)
        if len(self._arrived) >= AT_ONCE:
            self.end()
        elif self._ending is None:
            loop = asyncio.get_running_loop()
            longest = LONGEST_SECONDS if self._recorder.is_writing else 0
            self._ending = loop.call_later(longest, self.end) if longest else loop.call_soon(self.end)

    def end(self) -> None:
        """Take what arrived."""
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        arrived, self._arrived = self._arrived, []
        if arrived:
            self._take(arrived)

    def _take(self, arrived: Sequence[Arrival]) -> None:
        let_in = []
        for one in arrived:
            try:
                said = one.read()
                if said is None:
                    continue
                one.beat = v2_beat(said, len(one.text), one.marks)
                one.text = b""  # the next one's takes its place, which is in the cache
            except schema.Invalid as error:
                one.refuse_invalid(error)
            except Exception:
                log.exception("heartbeat.failed", robot=one.admitted.robot_id)
                one.fail()
            else:
                if self._lets_in(one):
                    let_in.append(one)
        self._recorder.submit_each([(one.beat, one.done) for one in let_in])

    def _lets_in(self, one: Arrival) -> bool:
        if one.beat.robot_key != one.admitted.robot_key:
            one.refuse_as_others()
            return False
        wait = self._access.allow(one.beat.robot_key)
        if wait is not None:
            one.ask_to_wait(wait)
            return False
        return True
