"""Backups: which there are, whether they were tried, and making one."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dashboard.access import needs, signed_in
from dashboard.forms import ReasonForm
from dashboard.migration.framing import done, framed, refused
from migration import backups as kept
from migration.actors import Actor
from migration.backups import asking
from migration.clock import system_clock
from migration.errors import Refused
from migration.models import Backup

PAGE, REGION = "dashboard/migration/backups.html", "dashboard/migration/_backups.html"
SHOWN = 50
_LOOKS = {"making": "wait", "made": "wait", "verified": "ok", "failed": "bad", "removed": "off"}
_SAID = {"making": "being made", "made": "being read back"}


@require_GET
@never_cache
@signed_in
def backups(request: HttpRequest) -> HttpResponse:
    """The whole page."""
    return framed(request, PAGE, "backups", _context(request))


@require_GET
@never_cache
@signed_in
def rows(request: HttpRequest) -> HttpResponse:
    """The list as it is now."""
    return render(request, REGION, _context(request))


@require_POST
@needs("back_up")
def make(request: HttpRequest) -> HttpResponse:
    """Have a backup made."""
    kind = request.POST.get("kind", Backup.Kind.DATABASE)
    form = ReasonForm(request.POST)
    if not form.is_valid() or kind not in Backup.Kind.values:
        return refused(request, REGION, _context(request), "make", "Say what for, in a few words.")
    try:
        asked = asking.make(kind, form.cleaned_data["reason"], actor=Actor.of(request.user))
    except Refused as error:
        return refused(request, REGION, _context(request), "make", str(error))
    return done(request, REGION, _context(request), f"Asked: {asked}. It appears here while it is made.")


@require_POST
@needs("back_up")
def verify(request: HttpRequest, number: int) -> HttpResponse:
    """Have a backup read back again."""
    try:
        asked = asking.verify(get_object_or_404(Backup, pk=number), actor=Actor.of(request.user))
    except Refused as error:
        return refused(request, REGION, _context(request), "head", str(error))
    return done(request, REGION, _context(request), f"Asked: {asked}.")


def _context(request: HttpRequest) -> dict[str, Any]:
    now = system_clock().now()
    latest = kept.latest_verified()
    return {
        "now": now,
        "latest": latest,
        "latest_age": (now - latest.begun_at).total_seconds() if latest else None,
        "archive": kept.legacy_archive(),
        "rows": [_row(backup) for backup in Backup.objects.all()[:SHOWN]],
        "total": Backup.objects.count(),
        "every_hours": settings.BACKUP_EVERY_HOURS,
        "keep_days": settings.BACKUP_KEEP_DAYS,
        "raw_days": settings.BACKUP_RAW_DAYS,
        "directory": settings.BACKUP_DIRECTORY,
        "may_back_up": request.user.has_perm("migration.back_up"),
    }


def _row(backup: Backup) -> dict[str, Any]:
    return {
        "backup": backup,
        "look": _LOOKS[backup.state],
        "said": _SAID.get(backup.state, backup.state),
        "megabytes": None if backup.size_bytes is None else f"{backup.size_bytes / 1e6:,.1f}",
        "has_file": backup.state in (Backup.State.MADE, Backup.State.VERIFIED),
    }
