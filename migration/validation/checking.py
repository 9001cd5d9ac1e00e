"""Use case: a check that an operator asked for, which can be stopped and goes on where it was."""

from collections.abc import Callable
from datetime import timedelta

from migration.clock import system_clock
from migration.models import IntegrityCheck
from migration.validation import integrity
from migration.validation.reading import Progress

State = IntegrityCheck.State

#: what was compared longer ago than this says nothing about now (evidence: never scaled)
RESUMABLE = timedelta(minutes=10)


def begin(*, from_start: bool) -> IntegrityCheck:
    """The check that was stopped or killed lately, or a new one."""
    now = system_clock().now()
    unfinished = IntegrityCheck.objects.filter(
        state__in=[State.RUNNING, State.STOPPED], started_at__gte=now - RESUMABLE
    ).first()
    if unfinished is not None and not from_start:
        return unfinished
    return IntegrityCheck.objects.create(started_at=now)


def carry_on(run: IntegrityCheck, *, progress: Progress, stopping: Callable[[], bool]) -> integrity.Integrity:
    """Check until the end or until `stopping`, and keep how far it got."""
    found = integrity.check(run=run, progress=progress, stopping=stopping)
    run.state = State.FAILED if found.failure else State.STOPPED if found.stopped else State.DONE
    run.ended_at = None if found.stopped else system_clock().now()
    run.rows, run.different, run.failure = found.rows, len(found.unexplained), found.failure
    run.seconds += found.seconds
    run.save()
    return found
