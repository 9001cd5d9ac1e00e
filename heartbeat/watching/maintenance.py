"""Use cases: planning a silence, changing the plan, and ending it. Nothing else lifts a maintenance window."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from heartbeat.models import MaintenanceWindow
from heartbeat.rules.windows import Scope
from heartbeat.telling import tell

FARTHEST = timedelta(days=3660)


class NotInForce(Exception):
    """The window is over; its history stands."""

    def __init__(self, window: MaintenanceWindow) -> None:
        super().__init__(f"maintenance window {window.pk} ended at {window.ends_at:%Y-%m-%d %H:%M:%S} UTC")


class WrongTimes(Exception):
    """The window would end before it begins, or before now."""


@transaction.atomic
def plan(
    scope: Scope,
    *,
    value: str = "",
    robots: Sequence[str] = (),
    starts_at: datetime,
    ends_at: datetime | None,
    reason: str,
    by: str,
    at: datetime,
) -> MaintenanceWindow:
    """Plan a silence of everything, of a site, kind or tag (`value`), or of named robots; without an end it is a pause.

    Raises WrongTimes. It may begin in the past: a silence that was planned, but not entered in time.
    """
    _check(starts_at, ends_at, at)
    window = MaintenanceWindow.objects.create(
        scope=scope.value,
        value=value,
        robots=list(dict.fromkeys(robots)),
        starts_at=starts_at,
        ends_at=ends_at,
        reason=reason,
        created_by=by,
        created_at=at,
    )
    until = f"until {ends_at:%Y-%m-%d %H:%M:%S} UTC" if ends_at else "until somebody ends it"
    sentence = f"planned a silence of {whom(window)} {until}: {reason}"
    tell(by, "maintenance_window.planned", sentence, window=window.pk, scope=window.scope, value=value, robots=robots)
    return window


@transaction.atomic
def change(
    window: MaintenanceWindow, *, by: str, at: datetime, reason: str | None = None, ends_at: datetime | None = None
) -> MaintenanceWindow:
    """Give another reason or another end. What is not given stays: an edit of its reason ends no pause.

    Raises NotInForce for a window that is over, WrongTimes.
    """
    window = _locked(window, at)
    if ends_at is not None:
        _check(window.starts_at, ends_at, at)
        window.ends_at = ends_at
    window.reason = window.reason if reason is None else reason
    window.save(update_fields=["reason", "ends_at"])
    told = {"window": window.pk, "reason": window.reason, "ends_at": window.ends_at}
    tell(by, "maintenance_window.changed", f"changed {window}", **told)
    return window


@transaction.atomic
def end(window: MaintenanceWindow, *, by: str, at: datetime) -> MaintenanceWindow:
    """Let silence alarm again from now on; one that has not begun is cancelled.

    Raises NotInForce for one that is over.
    """
    window = _locked(window, at)
    window.ends_at, window.ended_by = max(window.starts_at, at), by
    window.save(update_fields=["ends_at", "ended_by"])
    tell(by, "maintenance_window.ended", f"ended {window}", window=window.pk)
    return window


def whom(window: MaintenanceWindow) -> str:
    """Whom the window is about, as a sentence says it."""
    if window.scope == MaintenanceWindow.Scope.EVERYTHING:
        return "every robot"
    if window.scope == MaintenanceWindow.Scope.ROBOTS:
        return ", ".join(window.robots)
    return f"every robot of {window.scope} {window.value}"


def _check(starts_at: datetime, ends_at: datetime | None, at: datetime) -> None:
    if abs(starts_at - at) > FARTHEST or (ends_at and ends_at - at > FARTHEST):
        raise WrongTimes("it must be within ten years from now; without an end it is a pause")
    if ends_at is not None and ends_at <= max(starts_at, at):
        raise WrongTimes("it must end after it begins, and after now; to end it now, end it")


def _locked(window: MaintenanceWindow, at: datetime) -> MaintenanceWindow:
    window = MaintenanceWindow.objects.select_for_update().get(pk=window.pk)
    if window.ends_at is not None and window.ends_at <= at:
        raise NotInForce(window)
    return window
