"""The system of a fault campaign: taking it to a phase, and asking whether it is whole."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.jumping_clock import set_ahead
from benchmarks.rollback import reach
from embedded.programs import ingest_arguments
from embedded.stack import Stack
from simulator.autopilot.crew import Crew

POLL_SECONDS = 0.5


@dataclass(slots=True)
class World:
    """A running system and the people who log in to it."""

    stack: Stack
    crew: Crew
    #: how far ahead ingest's clock is
    clock: Path
    #: what the latest look found wanting
    wanting: list[str] = field(default_factory=list)

    def start_ingest(self) -> None:
        """Run ingest with the clock that can be made to jump."""
        _, module, *arguments = ingest_arguments(str(self.stack.ports["INGEST_PORT"]))
        command = [sys.executable, "-m", "benchmarks.jumping_clock", str(self.clock), module, *arguments]
        self.stack.control.replace("ingest", command)
        self.stack.wait_until_well("INGEST_PORT")

    def set_clock_ahead(self, seconds: float) -> None:
        """Let ingest's clock jump."""
        set_ahead(self.clock, seconds)

    def enter(self, slug: str) -> None:
        """Take the fleet to a phase, from wherever a fault has left it."""
        from migration import recording, routing

        recording.drain()
        if routing.route_file().latched():
            self.crew.release_latch("the fault is over")
        if where()[0] != slug:
            reach(slug)

    def until_whole(self, seconds: float, *, rows: bool = True) -> float | None:
        """Wait until nothing is wanting; returns how long it took, or None, and `wanting` says why.

        A guard has to have made progress since this was called.
        """
        began, since = time.monotonic(), datetime.now(UTC)
        while time.monotonic() - began < seconds:
            self.wanting = self.look(since, rows=rows)
            if not self.wanting:
                return time.monotonic() - began
            time.sleep(POLL_SECONDS)
        return None

    def look(self, since: datetime, *, rows: bool = True) -> list[str]:
        """What is wanting now: processes, systems, guards, lags, the way back, and last every row of both systems."""
        from django.db import Error as DatabaseError
        from django.db import connections

        try:
            return self._processes() or _guards(since) or (_rows() if rows else [])
        except (DatabaseError, OSError) as error:
            with suppress(DatabaseError):
                connections.close_all()
            return [f"{type(error).__name__}: {error}".splitlines()[0]]

    def _processes(self) -> list[str]:
        from migration import recording, routing

        there = self.stack.control.status()["processes"]
        found = [f"{name} is not ready" for name, each in there.items() if not each["ready"]]
        if not found and (ejected := routing.ejections()):
            found.append(f"{ejected} endpoints are ejected")
        if any(recording.spool_directory().glob("*.json")):
            found.append("a rollback waits to be recorded")
        return found

    def until(self, holds: Callable[[], bool], otherwise: str, seconds: float = 30.0) -> None:
        """Wait until `holds()`."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{otherwise} within {seconds:g} s")
            time.sleep(0.02)


def _guards(since: datetime) -> list[str]:
    from migration import advancing, evidence
    from migration.clock import system_clock
    from migration.models import TrafficShift
    from migration.syncing.lag import lags
    from migration.syncing.way_back import way_back

    now = system_clock().now()
    found = [
        f"{guard.name} made no progress"
        for guard in evidence.guards(now)
        if guard.age_seconds is None or guard.age_seconds > (now - since).total_seconds()
    ]
    found += [f"shift {shift.pk} waits" for shift in TrafficShift.objects.filter(state__in=TrafficShift.WAITING)]
    if (slug := advancing.active_run().slug) != where()[0]:
        found.append(f"the route is {where()[0]}'s, the phase is {slug}")
    behind = lags()
    if behind.forward_seconds is None or behind.forward_seconds > behind.forward_limit_seconds:
        found.append(f"sync is {behind.forward_seconds} s behind legacy")
    if behind.reverse_seconds is None or behind.reverse_seconds > behind.reverse_limit_seconds:
        found.append(f"legacy is {behind.reverse_seconds} s behind")
    if not (back := way_back()).whole:
        found.append(f"the way back: {back.cause}")
    return found


def _rows() -> list[str]:
    """Rows of both systems. In Preparation `new` knows only what sync told it: there, which robots are known."""
    from migration import comparing, restoring
    from migration.rules.comparing import WHOLE

    if wrong := restoring.corruption():
        return [wrong]
    comparison = comparing.compare()
    if comparison is None:
        return ["another comparison is on its way"]
    if comparison.failure:
        return [f"not comparable: {comparison.failure}"]
    heard = where()[0] != "preparation"
    different = sorted({row["robot_id"] for row in comparison.different if heard or row["field"] == WHOLE})
    return [f"{len(different)} robots differ: {', '.join(different[:5])}"] if different else []


def where() -> tuple[str, bool]:
    """The phase whose route is in force, and whether it is latched."""
    from migration import routing

    plan = routing.route_file().read().plan
    return plan.phase, plan.latched
