"""The settings of a phase: every one with its unit and default, changed with a reason and a confirmation."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dashboard.access import needs, signed_in
from dashboard.forms import ReasonForm
from dashboard.migration.framing import done, framed, refuse, refused_form
from dashboard.setting_fields import SETTINGS, field_of, words_of
from migration import configuring
from migration.actors import Actor
from migration.errors import Refused
from migration.models import AuditEntry, PhaseRun
from migration.rules.phases import PHASES, Phase, UnknownPhase, phase_of
from migration.rules.settings import InvalidSetting, settings_of

PAGE, REGION = "dashboard/migration/phase_settings.html", "dashboard/migration/_phase_settings.html"
#: changes of a phase that are shown; the audit log has all
_CHANGES = 5


class SettingsForm(ReasonForm):
    """Every setting of a phase. `revision` is what the person saw, so that nobody undoes a change unseen."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    confirmed = forms.BooleanField(
        label="I know what this voids", error_messages={"required": "tick it: votes and evidence will be void"}
    )

    def __init__(self, *given: Any, holds: dict[str, Any], **more: Any) -> None:
        super().__init__(*given, initial=holds, **more)
        for name in SETTINGS:
            self.fields[name] = field_of(name)
        self._holds = holds

    def changes(self, defaults: dict[str, Any]) -> dict[str, Any]:
        """What differs from what holds; None takes a setting back to its default, as does leaving it empty."""
        found = {}
        for name in SETTINGS:
            value = self.cleaned_data[name]
            value = defaults[name] if value is None or value == "" else value
            if _plain(value) != _plain(self._holds[name]):
                found[name] = None if _plain(value) == _plain(defaults[name]) else value
        return found


@require_GET
@never_cache
@signed_in
def phase_settings(request: HttpRequest) -> HttpResponse:
    """The page of one phase, without a word of which the one that is entered next."""
    word = request.GET.get("phase", "")
    try:
        phase = phase_of(word) if word else _upcoming()
    except UnknownPhase as error:
        context = {**_context(request, _upcoming()), "problem": str(error)}
        return framed(request, PAGE, "phase-settings", context, status=404)
    return framed(request, PAGE, "phase-settings", _context(request, phase))


@require_POST
@needs("configure_phase")
def changes(request: HttpRequest, slug: str) -> HttpResponse:
    """Change what differs from what holds."""
    try:
        phase = phase_of(slug)
    except UnknownPhase as error:
        context = {**_context(request, _upcoming()), "problem": str(error)}
        return render(request, REGION, context, status=404)
    form = SettingsForm(request.POST, holds=configuring.told(phase.slug)["settings"])
    if form.is_valid():
        changed = form.changes(_defaults(phase))
        try:
            if not changed:
                raise Refused("nothing differs from what holds now")
            configuring.change(
                phase.slug,
                changed,
                actor=Actor.of(request.user),
                reason=form.cleaned_data["reason"],
                seen_revision=form.cleaned_data["revision"],
            )
        except InvalidSetting as error:
            form.add_error(error.field, error.reason)
        except Refused as error:
            refuse(form, error)
        else:
            names = ", ".join(SETTINGS[name].label for name in changed)
            return done(request, REGION, _context(request, phase), f"Changed for {phase.name}: {names}.")
    return refused_form(request, REGION, _context(request, phase, form))


def _upcoming() -> Phase:
    """The phase that is entered next, the last one at the end of the road."""
    run = PhaseRun.objects.filter(state=PhaseRun.State.ACTIVE).first()
    return PHASES[min(run.phase.number + 1, len(PHASES) - 1)] if run else PHASES[0]


def _defaults(phase: Phase) -> dict[str, Any]:
    return configuring.as_mapping(settings_of(phase.slug))


def _plain(value: Any) -> Any:
    """Lists and tuples are one; so are the orders of roles."""
    return list(value) if isinstance(value, list | tuple) else value


def _context(request: HttpRequest, phase: Phase, form: SettingsForm | None = None) -> dict[str, Any]:
    told, defaults = configuring.told(phase.slug), _defaults(phase)
    form = form or SettingsForm(holds=told["settings"])
    before = PHASES[phase.number - 1] if phase.number else None
    return {
        "phases": PHASES,
        "chosen": phase,
        "told": told,
        "form": form,
        "voided": [each.name for each in (before, phase) if each],
        "rows": [
            {
                "field": form[name],
                "setting": setting,
                "holds": words_of(name, told["settings"][name]),
                "default": words_of(name, defaults[name]),
                "is_changed": name in told["changed"],
            }
            for name, setting in SETTINGS.items()
        ],
        "changes": AuditEntry.objects.filter(action="settings_changed", detail__phase=phase.slug)[:_CHANGES],
        "may_configure": request.user.has_perm("migration.configure_phase"),
    }
