"""Freeze windows: making them, lifting them, and asking whether a step is frozen."""

from collections.abc import Iterable
from datetime import datetime, time
from zoneinfo import available_timezones

from django.db import transaction

from migration import audit
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import MissingReason, Refused
from migration.models import FreezeWindow
from migration.rules.freezing import frozen


def frozen_now(now: datetime, sites: Iterable[str]) -> list[str]:
    """Why a step that moves robots of these sites is frozen now."""
    return frozen([window.freeze for window in FreezeWindow.objects.filter(lifted_at=None)], now, sites)


def freeze(
    *,
    actor: Actor,
    reason: str,
    site: str = "",
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    daily_at: time | None = None,
    before_minutes: int = 30,
    after_minutes: int = 30,
    time_zone: str = "UTC",
) -> FreezeWindow:
    """Make a window: once with `starts_at` and `ends_at`, or daily around `daily_at`. Raises `Refused`."""
    if not reason.strip():
        raise MissingReason("a freeze")
    now = system_clock().now()
    if time_zone not in available_timezones():
        raise Refused(f"time_zone: nobody knows {time_zone!r}")
    if daily_at is None:
        starts_at = starts_at or now
        if ends_at is None or ends_at <= max(starts_at, now):
            raise Refused("ends_at: a window ends after it starts, and after now; or give daily_at")
    elif starts_at or ends_at:
        raise Refused("daily_at: a window is either daily or from one time to another")
    with transaction.atomic():
        window = FreezeWindow.objects.create(
            reason=reason,
            site=site,
            starts_at=starts_at,
            ends_at=ends_at,
            daily_at=daily_at,
            before_minutes=before_minutes,
            after_minutes=after_minutes,
            time_zone=time_zone,
            made_by=actor.name,
            made_at=now,
        )
        where = f" for site {site}" if site else ""
        audit.record(actor, "frozen", f"froze the way forward{where}: {reason}", at=now, detail={"window": window.pk})
    return window


def lift(window_id: int, *, actor: Actor, reason: str) -> FreezeWindow:
    """End a window before its time. Raises `Refused`."""
    if not reason.strip():
        raise MissingReason("lifting a freeze")
    now = system_clock().now()
    with transaction.atomic():
        window = FreezeWindow.objects.select_for_update().filter(pk=window_id).first()
        if window is None or window.lifted_at:
            raise Refused(f"there is no freeze {window_id} to lift")
        window.lifted_by, window.lifted_at = actor.name, now
        window.save()
        audit.record(
            actor, "freeze_lifted", f"lifted freeze {window.pk}: {reason}", at=now, detail={"window": window.pk}
        )
    return window


def sites_frozen(now: datetime) -> set[str]:
    """Sites with a window of their own that holds now."""
    windows = FreezeWindow.objects.filter(lifted_at=None).exclude(site="")
    return {window.site for window in windows if window.freeze.until(now)}
