"""`manage.py data_integrity_check [--fix]`: every robot, every field, both ways."""

import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

import structlog
from django.core.management.base import CommandError, CommandParser

from migration.actors import Actor
from migration.models import Discrepancy, IntegrityCheck
from migration.runbook import RunbookCommand, not_done
from migration.validation import checking, reconciling
from migration.validation.integrity import Integrity

log = structlog.get_logger(__name__)

#: stopped before its end; the next call goes on
STOPPED = 3
#: a system could not be read, so nothing is known
UNREADABLE = 4
SHOWN = 50
_SAYS_EVERY_SECONDS = 1.0


class Command(RunbookCommand):
    help = (
        "Compare every robot's row, every deployment and every robot's state in both systems. Exit codes: 0 equal, "
        "1 different, 2 wrong argument, 3 stopped (call it again to go on), 4 a system could not be read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--fix",
            action="store_true",
            help="propose a reconciliation for what differs, and apply those that somebody has approved",
        )
        parser.add_argument("--from-start", action="store_true", help="do not go on where a stopped check was")

    def handle(self, *args: Any, fix: bool, from_start: bool, **options: Any) -> None:
        stop = threading.Event()
        before = signal.signal(signal.SIGINT, lambda number, frame: _ask_to_stop(stop, frame))
        try:
            if fix:
                self._apply()
            run = checking.begin(from_start=from_start)
            if run.place:
                self.stdout.write(f"Going on with the check of {run.started_at:%d %b %H:%M:%S} UTC.")
            found = checking.carry_on(run, progress=_Eta(self).say, stopping=stop.is_set)
        finally:
            signal.signal(signal.SIGINT, before)
        self._tell(found, run)
        if fix and not found.is_whole:
            self._propose()
        if found.unexplained:
            raise not_done(f"{len(found.unexplained):,} differences in {found.rows:,} rows")

    def _tell(self, found: Integrity, run: IntegrityCheck) -> None:
        if found.failure:
            raise CommandError(found.failure, returncode=UNREADABLE)
        if found.stopped:
            raise CommandError(f"stopped at bucket {run.place} of 256: call it again to go on", returncode=STOPPED)
        for one in found.unexplained[:SHOWN]:
            self.stdout.write(f"{one.robot_id}  {one.field}: legacy {one.legacy!r}, new {one.new!r}")
        if len(found.unexplained) > SHOWN:
            self.stdout.write(f"… and {len(found.unexplained) - SHOWN:,} more: /migration/discrepancies/")
        told = f"{found.rows:,} rows and {found.deployments:,} deployments compared in {found.seconds:.2f} s"
        explained = f", {len(found.explained):,} differences explained" if found.explained else ""
        if not found.unexplained:
            self.stdout.write(f"Equal: {told}{explained}. Digest {found.digests['new'][:16]}.")
        else:
            self.stdout.write(f"{told}{explained}.")

    def _apply(self) -> None:
        for reconciliation in reconciling.apply_approved():
            said = reconciliation.failure or "both systems were read equal"
            self.stdout.write(f"{reconciliation.discrepancy.robot_id}: {reconciliation.get_state_display()}: {said}")

    def _propose(self) -> None:
        open_now = Discrepancy.objects.filter(state=Discrepancy.State.CONFIRMED)
        proposed, without = reconciling.propose_all(open_now, actor=Actor.on_this_host())
        self.stdout.write(
            f"{proposed:,} reconciliations wait for a review at /migration/discrepancies/, then call --fix again."
        )
        for sentence in without:
            self.stdout.write(f"Not proposed: {sentence}")


class _Eta:
    """Says how far the check is, and when it will be done, once a second."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._what, self._began, self._said = "", 0.0, 0.0

    def say(self, what: str, done: int, of: int) -> None:
        now = time.monotonic()
        if what != self._what:
            self._what, self._began = what, now
        if now - self._said < _SAYS_EVERY_SECONDS:
            return
        self._said = now
        eta = f", about {(now - self._began) / done * (of - done):.0f} s left" if done else ""
        self._command.stderr.write(f"{what}: {done:,} of {of:,}{eta}")


def _ask_to_stop(stop: threading.Event, frame: FrameType | None) -> None:
    if stop.is_set():
        sys.exit(STOPPED)
    stop.set()
    log.info("check.asked_to_stop")
