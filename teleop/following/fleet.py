"""How every robot stands, in memory: what it said goes in, what changed comes out. No database, no clock."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from heartbeat.rules.clocks import Clock
from teleop.following.log import Said
from teleop.rules.layouts import USUAL, Layout, layout_for
from teleop.rules.quality import Quality, quality_of
from teleop.rules.sessions import hear, pass_time
from teleop.rules.signals import Report, read_legacy, read_signals
from teleop.rules.standing import Event, Open, Outcome, Standing
from teleop.rules.timing import measured_at

#: robots without a session are looked at for silence this often, seconds
REST_SECONDS = 1.0


@dataclass(slots=True)
class Held:
    """One robot."""

    key: bytes
    robot_id: str
    kind: str = ""
    site: str = ""
    standing: Standing = field(default_factory=Standing)
    layout: Layout = USUAL
    #: (its run, the estimate of its clock)
    clock: tuple[str, Clock] | None = None
    quality: Quality | None = None
    legacy_claims: bool | None = None
    legacy_told_at: float | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """A step of a robot, and the session it had before it."""

    held: Held
    event: Event
    before: Open | None


class Fleet:
    """All robots. What is to be stored gathers in `dirty` and `samples` until the caller takes it."""

    def __init__(self, new_id: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        self.robots: dict[bytes, Held] = {}
        self.layouts: tuple[Layout, ...] = ()
        #: robots whose row is not what is stored
        self.dirty: set[bytes] = set()
        self.samples: list[tuple[Held, str, float, Quality]] = []
        self._new_id = new_id
        self._open: set[bytes] = set()
        self._rested_at = 0.0

    def put(self, held: Held) -> None:
        """A robot as it was stored."""
        held.layout = layout_for(held.kind, held.site, self.layouts)
        self.robots[held.key] = held
        if held.standing.open:
            self._open.add(held.key)

    def use_layouts(self, layouts: Iterable[Layout]) -> None:
        """Take these from now on."""
        self.layouts = tuple(layouts)
        for held in self.robots.values():
            held.layout = layout_for(held.kind, held.site, self.layouts)

    def hear(self, said: Said) -> list[Changed]:
        """Take in what a robot said."""
        held = self._held(said)
        if said.service:
            claims = said.service == "active"
            if claims is not held.legacy_claims:
                self.dirty.add(held.key)
            held.legacy_claims, held.legacy_told_at = claims, said.at
        if said.document is None:
            report = read_legacy(said.service, at=said.at, heard_at=said.received)
        else:
            report = self._report(held, said)
        # Silence is judged by what was received, so that a late look at the log concludes the same.
        silent = self._take(held, pass_time(held.standing, said.received)) if held.standing.open else []
        was_at = held.standing.at
        outcome = hear(held.standing, report, held.layout, self._new_id)
        if outcome.standing.at == report.at and report.at > was_at:
            self._sample(held, outcome.standing, report)
        return silent + self._take(held, outcome)

    def pass_time(self, now: float) -> Iterator[Changed]:
        """What silence tells at `now`."""
        keys = list(self._open)
        if now - self._rested_at >= REST_SECONDS:
            self._rested_at = now
            keys = list(self.robots)
        for key in keys:
            held = self.robots[key]
            outcome = pass_time(held.standing, now)
            if outcome.events:
                yield from self._take(held, outcome)

    def meet(self, said: Said, kind: str, site: str) -> None:
        """A robot that speaks for the first time, and what is known of it."""
        self.put(Held(said.robot_key, said.robot_id, kind, site))
        self.dirty.add(said.robot_key)

    def stopped(self, session: str) -> None:
        """The robot acknowledged that it stops this session: when it ends, that is why."""
        for key in self._open:
            standing = self.robots[key].standing
            if standing.open and standing.open.id == session and not standing.open.stopped:
                self.robots[key].standing = replace(standing, open=replace(standing.open, stopped=True))

    def _held(self, said: Said) -> Held:
        held = self.robots.get(said.robot_key)
        if held is None:
            held = Held(said.robot_key, said.robot_id, said.kind, said.site)
            self.put(held)
            self.dirty.add(held.key)
        elif said.kind and (said.kind, said.site) != (held.kind, held.site):
            held.kind, held.site = said.kind, said.site
            held.layout = layout_for(held.kind, held.site, self.layouts)
            self.dirty.add(held.key)
        held.robot_id = said.robot_id
        return held

    def _report(self, held: Held, said: Said) -> Report:
        document = dict(said.document or {})
        if said.service:
            document.setdefault("service", said.service)
        measured = document.get("measured_ms")
        seconds = measured / 1000 if isinstance(measured, int | float) and not isinstance(measured, bool) else None
        known = held.clock[1] if held.clock and held.clock[0] == said.run else None
        at, clock = measured_at(known, seconds, said.received, said.at)
        if clock is not None:
            held.clock = (said.run, clock)
        return read_signals(
            document,
            at=at,
            heard_at=said.received,
            run=said.run,
            network_rtt_ms=said.rtt_ms,
            next_in=said.next_in,
        )

    def _sample(self, held: Held, standing: Standing, report: Report) -> None:
        quality = quality_of(report)
        held.quality = quality
        if standing.open:
            self.dirty.add(held.key)
        if standing.open and standing.open.lost_at is None and quality.says_something:
            self.samples.append((held, standing.open.id, report.at, quality))

    def _take(self, held: Held, outcome: Outcome) -> list[Changed]:
        before = held.standing.open
        held.standing = outcome.standing
        if outcome.standing.open:
            self._open.add(held.key)
        else:
            self._open.discard(held.key)
        if not outcome.events:
            return []
        self.dirty.add(held.key)
        return [Changed(held, event, before) for event in outcome.events]
