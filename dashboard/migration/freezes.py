"""Freezes and pins: what holds the way forward for a time, and which robots stay on one side."""

from typing import Any, cast

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dashboard.access import needs, signed_in
from dashboard.forms import ReasonForm, WindowTime
from dashboard.migration.framing import done, framed, refuse, refused_form
from heartbeat.models import Robot
from migration import freezing, pinning, way_forward
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import Refused
from migration.models import FreezeWindow, Pin, TrafficShift

PAGE, REGION = "dashboard/migration/freezes.html", "dashboard/migration/_freezes.html"
#: how many windows that are over are shown
_OVER = 10


class FreezeForm(ReasonForm):
    """What both sorts of window need."""

    site = forms.ChoiceField(
        required=False, label="Holds", help_text="(steps that move a robot of the site; other steps go on)"
    )

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        sites = Robot.objects.exclude(site="").order_by("site").values_list("site", flat=True).distinct()
        cast("forms.ChoiceField", self.fields["site"]).choices = [
            ("", "every step forward"),
            *((site, f"site {site}") for site in sites),
        ]


class OnceForm(FreezeForm):
    """A window from one time to another."""

    starts_at = WindowTime(required=False, label="From", help_text="(UTC, 2026-11-24 08:00; empty: now)")
    ends_at = WindowTime(label="Until", help_text="(UTC)")
    field_order = ("site", "starts_at", "ends_at", "reason")


class DailyForm(FreezeForm):
    """A window around the time at which a site's activity changes, every day."""

    daily_at = forms.TimeField(
        label="Changes activity daily at",
        help_text="(14:00, the site's own time)",
        input_formats=["%H:%M"],
        error_messages={"required": "say when, such as 14:00", "invalid": "write it as 14:00"},
        widget=forms.TextInput(attrs={"inputmode": "numeric"}),
    )
    time_zone = forms.CharField(label="Time zone", max_length=64, initial="UTC", help_text="(such as Europe/Berlin)")
    before_minutes = forms.IntegerField(label="Minutes before", min_value=0, max_value=720, initial=30)
    after_minutes = forms.IntegerField(label="Minutes after", min_value=0, max_value=720, initial=30)
    field_order = ("site", "daily_at", "time_zone", "before_minutes", "after_minutes", "reason")

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        for name in ("before_minutes", "after_minutes"):
            self.fields[name].widget = forms.TextInput(attrs={"inputmode": "numeric"})


class PinForm(ReasonForm):
    """One robot, and the side it stays on."""

    robot_id = forms.CharField(
        max_length=128,
        label="Robot",
        error_messages={"required": "which robot?"},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    side = forms.ChoiceField(
        label="Stays on", choices=[("legacy", "legacy: a way back, needs no gate"), ("new", "new: as any step forward")]
    )
    field_order = ("robot_id", "side", "reason")


@require_GET
@never_cache
@signed_in
def freezes(request: HttpRequest) -> HttpResponse:
    """The whole page."""
    return framed(request, PAGE, "freezes", _context(request))


@require_GET
@never_cache
@signed_in
def rows(request: HttpRequest) -> HttpResponse:
    """The lists as they are now."""
    return render(request, REGION, _context(request))


@require_POST
@needs("freeze_migration")
def freeze(request: HttpRequest, sort: str) -> HttpResponse:
    """Freeze the way forward, once or daily."""
    form = {"once": OnceForm, "daily": DailyForm}[sort](request.POST, prefix=sort)
    if form.is_valid():
        try:
            window = freezing.freeze(actor=Actor.of(request.user), **form.cleaned_data)
        except Refused as error:
            refuse(form, error)
        else:
            where = f"site {window.site}" if window.site else "every step forward"
            return done(request, REGION, _context(request), f"Freeze {window.pk} is made. It holds {where}.")
    return refused_form(request, REGION, _context(request, **{sort: form}))


@require_POST
@needs("freeze_migration")
def liftings(request: HttpRequest, window_id: int) -> HttpResponse:
    """End a freeze before its time."""
    form = ReasonForm(request.POST, prefix=f"lift-{window_id}")
    if form.is_valid():
        try:
            freezing.lift(window_id, actor=Actor.of(request.user), reason=form.cleaned_data["reason"])
        except Refused as error:
            refuse(form, error)
        else:
            return done(request, REGION, _context(request), f"Freeze {window_id} is lifted.")
    return refused_form(request, REGION, _context(request, lifting={window_id: form}))


@require_POST
@needs("advance_phase")
def pins(request: HttpRequest) -> HttpResponse:
    """Ask that a robot stays on one side."""
    form = PinForm(request.POST, prefix="pin")
    if form.is_valid():
        given = form.cleaned_data
        try:
            shift = pinning.pin(given["robot_id"], given["side"], actor=Actor.of(request.user), reason=given["reason"])
        except Refused as error:
            refuse(form, error)
        else:
            return done(request, REGION, _context(request), f"Asked: {shift.words}. Waiting for {shift.waits_for}.")
    return refused_form(request, REGION, _context(request, pin=form))


@require_POST
@needs("advance_phase")
def unpinnings(request: HttpRequest, pin_id: int) -> HttpResponse:
    """Ask that a robot goes by its bucket again."""
    form = ReasonForm(request.POST, prefix=f"unpin-{pin_id}")
    if form.is_valid():
        key = Pin.objects.filter(pk=pin_id).values_list("key", flat=True).first() or ""
        try:
            shift = pinning.unpin(key, actor=Actor.of(request.user), reason=form.cleaned_data["reason"])
        except Refused as error:
            refuse(form, error)
        else:
            return done(request, REGION, _context(request), f"Asked: {shift.words}. Waiting for {shift.waits_for}.")
    return refused_form(request, REGION, _context(request, unpinning={pin_id: form}))


def _context(
    request: HttpRequest,
    *,
    once: forms.Form | None = None,
    daily: forms.Form | None = None,
    pin: forms.Form | None = None,
    lifting: dict[int, forms.Form] | None = None,
    unpinning: dict[int, forms.Form] | None = None,
) -> dict[str, Any]:
    """Both lists with a form for each row; forms that were refused stand in for the empty ones."""
    now = system_clock().now()
    windows = FreezeWindow.objects.filter(lifted_at=None)
    current = [window for window in windows if window.daily_at or (window.ends_at and window.ends_at > now)]
    pinned = list(Pin.objects.all())
    heard = {
        bytes(key)
        for key in Robot.objects.filter(key__in=[one.key.encode() for one in pinned]).values_list("key", flat=True)
    }
    return {
        "now": now,
        "windows": [
            {
                "window": window,
                "told": way_forward.told_freeze(window, now),
                "form": (lifting or {}).get(window.pk) or ReasonForm(prefix=f"lift-{window.pk}"),
                "is_open": window.pk in (lifting or {}),
            }
            for window in current
        ],
        "over": [
            {"window": window, "told": way_forward.told_freeze(window, now)}
            for window in FreezeWindow.objects.exclude(pk__in=[each.pk for each in current])[:_OVER]
        ],
        "pins": [
            {
                "pin": one,
                "is_heard": one.key.encode() in heard,
                "form": (unpinning or {}).get(one.pk) or ReasonForm(prefix=f"unpin-{one.pk}"),
                "is_open": one.pk in (unpinning or {}),
            }
            for one in pinned
        ],
        "asked": TrafficShift.objects.filter(state__in=TrafficShift.WAITING).exclude(pin_changes={}),
        "to_new": sum(1 for one in pinned if one.side == "new"),
        "most_to_new": pinning.MOST_PINS_TO_NEW,
        "once": once or OnceForm(prefix="once"),
        "daily": daily or DailyForm(prefix="daily"),
        "pin": pin or PinForm(prefix="pin"),
        "may_freeze": request.user.has_perm("migration.freeze_migration"),
        "may_pin": request.user.has_perm("migration.advance_phase"),
    }
