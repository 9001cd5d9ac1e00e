"""Contacts: whom to call, where to talk, who is on call, who is asked next."""

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dashboard.access import needs, signed_in
from dashboard.migration.framing import done, framed, refused
from migration import contacts as known
from migration.actors import Actor
from migration.clock import system_clock
from migration.contacts import changing
from migration.errors import Refused
from migration.models import Channel, Contact, RotaShift
from migration.rules.contacts import Duty, Purpose
from migration.rules.voting import Role

PAGE, REGION = "dashboard/migration/contacts.html", "dashboard/migration/_contacts.html"
#: empty lines in the form of the escalation path
SPARE_STEPS = 2
#: a week without an acknowledgement
MOST_MINUTES = 10_080


class ContactForm(forms.ModelForm):
    """Somebody in a duty."""

    class Meta:
        model = Contact
        fields = ["duty", "is_backup", "name", "telephone", "email", "login", "note"]


class ChannelForm(forms.ModelForm):
    """A channel's purpose, name and address; whether there is one already does not matter."""

    class Meta:
        model = Channel
        fields = ["purpose", "name", "address"]

    def validate_unique(self) -> None:
        """The same purpose again changes its channel."""


class RotaForm(forms.ModelForm):
    """Who, from when, until when; UTC."""

    class Meta:
        model = RotaShift
        fields = ["contact", "starts_at", "ends_at"]


@require_GET
@never_cache
@signed_in
def contacts(request: HttpRequest) -> HttpResponse:
    """The whole page."""
    return framed(request, PAGE, "contacts", _context(request))


@require_GET
@never_cache
@signed_in
def rows(request: HttpRequest) -> HttpResponse:
    """The lists as they are now."""
    return render(request, REGION, _context(request))


@require_POST
@needs("change_contacts")
def enter(request: HttpRequest, what: str) -> HttpResponse:
    """Enter a contact, a channel or a place on the rota."""
    if what == "path":
        return _walk(request)
    form_class = {"contact": ContactForm, "channel": ChannelForm, "rota": RotaForm}.get(what)
    if form_class is None:
        raise Http404(f"nothing is entered as {what}")
    form = form_class(request.POST)
    if not form.is_valid():
        told = [f"{name}: {' '.join(reasons)}" for name, reasons in form.errors.items()]
        return refused(request, REGION, _context(request), what, " ".join(told).replace("__all__: ", ""))
    actor, given = Actor.of(request.user), form.cleaned_data
    try:
        if what == "contact":
            row: Any = changing.put_contact(given, actor=actor)
        elif what == "channel":
            row = changing.put_channel(given, actor=actor)
        else:
            row = changing.put_on_rota(given["contact"], given["starts_at"], given["ends_at"], actor=actor)
    except Refused as error:
        return refused(request, REGION, _context(request), what, str(error))
    return done(request, REGION, _context(request), f"Entered: {row}.")


@require_POST
@needs("change_contacts")
def remove(request: HttpRequest, what: str, number: int) -> HttpResponse:
    """Take a contact, a channel or a place on the rota away."""
    model = {"contact": Contact, "channel": Channel, "rota": RotaShift}.get(what)
    if model is None:
        raise Http404(f"nothing is removed as {what}")
    row: Any = get_object_or_404(model, pk=number)
    said = str(row)
    changing.remove(row, actor=Actor.of(request.user))
    return done(request, REGION, _context(request), f"Removed: {said}.")


def _walk(request: HttpRequest) -> HttpResponse:
    """Replace the escalation path by the steps whose minutes were filled in."""
    try:
        steps = [(_minutes(minutes), _duty(duty)) for minutes, duty in _typed_path(request) if minutes]
        changing.put_path(steps, actor=Actor.of(request.user))
    except Refused as error:
        return refused(request, REGION, _context(request), "path", str(error))
    return done(request, REGION, _context(request), f"The path has {len(steps)} steps.")


def _minutes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > MOST_MINUTES:
        raise changing.BadContact({"steps": [f"{text!r} is no number of minutes from 0 to {MOST_MINUTES}"]})
    return int(text)


def _duty(text: str) -> Duty:
    if text not in {duty.value for duty in Duty}:
        raise changing.BadContact({"steps": [f"{text!r} is no duty"]})
    return Duty(text)


def _typed_path(request: HttpRequest) -> list[tuple[str, str]]:
    return list(zip(request.POST.getlist("minutes"), request.POST.getlist("step_duty"), strict=False))


def _standing_in(role: Role, people: list[Contact]) -> dict[str, Any]:
    """Who backs up a voting role, and whether their login can vote and sign for it."""
    backups = [one for one in people if one.is_backup and one.duty == role.value]
    return {
        "words": role.words,
        "backups": [{"name": one.name, "login": one.login, "why_not": _why_not(one)} for one in backups],
    }


def _why_not(backup: Contact) -> str:
    if backup.login is None:
        return "no login here, so no vote"
    return "" if backup.login.has_perm("migration.cast_vote") else "the login lacks the permission to vote"


def _context(request: HttpRequest) -> dict[str, Any]:
    now = system_clock().now()
    people = list(Contact.objects.select_related("login"))
    channels = {channel.purpose: channel for channel in Channel.objects.all()}
    path = [
        {"minutes": int(step.after.total_seconds() // 60), "duty": step.duty, "people": step.people}
        for step in known.escalation_path(now)
    ]
    return {
        "now": now,
        "watching": known.on_call(now),
        "missing": known.missing(now),
        "duties": [
            {"value": duty.value, "words": duty.words, "people": [one for one in people if one.duty == duty.value]}
            for duty in Duty
        ],
        "people": people,
        "standing_in": [_standing_in(role, people) for role in Role],
        "purposes": [
            {"value": purpose.value, "words": purpose.words, "channel": channels.get(purpose.value)}
            for purpose in Purpose
        ],
        "path": path,
        "path_rows": _typed_path(request)
        or [*((step["minutes"], step["duty"].value) for step in path), *[("", "")] * SPARE_STEPS],
        "rota": RotaShift.objects.filter(ends_at__gt=now).select_related("contact")[:20],
        "logins": Contact._meta.get_field("login").related_model.objects.filter(is_active=True).order_by("username"),
        "may_change": request.user.has_perm("migration.change_contacts"),
    }
