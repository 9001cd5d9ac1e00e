"""`manage.py update_traffic_split PERCENT`: forward through gates and votes, back at once."""

import time
from typing import Any

from django.core.management.base import CommandParser

from migration import advancing, foreseeing, rolling_back, routing
from migration.actors import Actor
from migration.drivers.errors import RouteError
from migration.errors import Refused
from migration.models import Proposal, TrafficShift
from migration.rules.phases import PHASES, next_phase, phase_of
from migration.runbook import RunbookCommand, not_done, wrong

#: a worker takes a shift within a second; after this something is wrong and the shift says what
WAIT_SECONDS = 35.0


class Command(RunbookCommand):
    help = "Move the split to a phase's percentage: one step forward if its gates and votes pass, or back at once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("percent", type=int, help="0, 10, 25, 50 or 100")
        parser.add_argument("--reason", default="", help="goes into the audit log")
        parser.add_argument("--dry-run", action="store_true", help="say which robots would move; nothing moves")

    def handle(self, *args: Any, percent: int, reason: str, dry_run: bool = False, **options: Any) -> None:
        steps = sorted({phase.percent for phase in PHASES})
        if percent not in steps:
            known = ", ".join(str(step) for step in steps)
            raise wrong(f"{percent} % is no phase's split; known are {known} (whole percent, 0 to 100)")
        try:
            current = phase_of(routing.route_file().read().plan.phase)
        except RouteError as error:
            raise not_done(str(error)) from error
        if dry_run:
            self._foresee(percent, current.number)
        elif percent == current.percent:
            self.stdout.write(f"The split is at {percent} % already ({current.name}); nothing changed.")
        elif percent < current.percent:
            self._back(percent, current.number, reason)
        else:
            self._forward(percent, reason)

    def _back(self, percent: int, number: int, reason: str) -> None:
        target = [phase for phase in PHASES if phase.percent == percent and phase.number < number][-1]
        try:
            record = rolling_back.roll_back(
                target.slug, reason=reason or f"update_traffic_split {percent}", actor=Actor.on_this_host()
            )
        except Refused as error:
            raise not_done(str(error)) from error
        rolling_back.record_now()
        if record.state != rolling_back.OBSERVED:
            raise not_done(f"{record.state}: {'; '.join(record.late)}")
        self.stdout.write(f"{record.from_percent} → {percent} %, observed in {record.seconds:.2f} s")

    def _forward(self, percent: int, reason: str) -> None:
        following = next_phase(advancing.active_run().phase)
        if following is None or following.percent != percent:
            name = f"{following.name} ({following.percent} %)" if following else "nothing"
            raise not_done(f"refused: the next step is {name}, and {percent} % is not it")
        try:
            shift = advancing.advance(actor=Actor.on_this_host(), reason=reason)
        except Refused as error:
            raise not_done(f"refused: {error}") from error
        if isinstance(shift, Proposal):
            raise not_done(f"not yet: it waits for {shift.waits_for} until {shift.deadline_at:%H:%M:%S} UTC")
        deadline = time.monotonic() + WAIT_SECONDS
        while shift.is_waiting and time.monotonic() < deadline:
            time.sleep(0.05)
            shift = TrafficShift.objects.get(pk=shift.pk)
        if shift.state != TrafficShift.State.OBSERVED:
            raise not_done(f"shift {shift.pk} is {shift.get_state_display()}: {shift.failure or shift.waits_for}")
        self.stdout.write(
            f"{shift.from_percent} → {shift.to_percent} %, observed in {shift.observed_seconds:.2f} s"
            + (f"; the ramp goes on to {percent} %" if shift.to_percent != percent else "")
        )

    def _foresee(self, percent: int, number: int) -> None:
        """Say what would move, to the nearest phase with this split."""
        to = min((each for each in PHASES if each.percent == percent), key=lambda each: abs(each.number - number))
        for step in foreseeing.dry_run(to.slug)["steps"]:
            to_new, to_legacy = step["to_new"], step["to_legacy"]
            self.stdout.write(f"{step['step']}: {to_new:,} of {step['robots']:,} to new, {to_legacy:,} to legacy")
            for name in step["names"]:
                self.stdout.write(f"  {name}")
            if step["more"]:
                self.stdout.write(f"  and {step['more']:,} more")
