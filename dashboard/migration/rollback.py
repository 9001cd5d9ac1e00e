"""The page of rollbacks: what the latest one measured, what rolls back by itself, and how data comes back."""

import json
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dashboard.access import needs, signed_in
from dashboard.forms import SAY_WHY, ReasonForm
from dashboard.migration.framing import framed
from dashboard.partials import OUR_ROLLBACK_SECONDS, rollback_scale
from dashboard.presentation import measured_seconds
from migration import advancing, guarding, rehearsing, restoring, rolling_back
from migration.actors import Actor
from migration.errors import Refused
from migration.models import AuditEntry, Rehearsal, Restore, Rollback
from migration.rules.phases import phase_of
from migration.rules.watching import RULES, Mode

#: what this page's forms need
MAY = ("roll_back", "set_watch_rule", "switch_automation", "rehearse_rollback", "restore_fleet")
LISTED = 12
TOLD_AROUND_SECONDS = 120
_FORMS = "dashboard/migration/_rollback_forms.html"
_FACTS = "dashboard/migration/_rollback_facts.html"


class RuleForm(ReasonForm):
    """How far a rule may go."""

    rule = forms.ChoiceField(choices=[(rule.name, rule.when) for rule in RULES])
    mode = forms.ChoiceField(choices=[(mode.value, mode.value.replace("_", " ")) for mode in Mode])


class SwitchForm(ReasonForm):
    """On or off."""

    on = forms.ChoiceField(choices=[("true", "on"), ("false", "off")])


class RestoreForm(ReasonForm):
    """From the log, or from the archive as of a moment (UTC)."""

    until = forms.DateTimeField(required=False, error_messages={"invalid": "Give the moment as 2026-11-24 03:12:44."})


@require_GET
@never_cache
@signed_in
def rollback(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """The latest rollback, or the one with this number, and everything that guards the way back."""
    return framed(request, "dashboard/migration/rollback.html", "rollback", {**_facts(pk), **_buttons(request)})


@require_GET
@never_cache
@signed_in
def rollback_facts(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """What was measured, as it is now; a page asks for it again and again."""
    return render(request, _FACTS, _facts(pk))


@require_POST
@needs("set_watch_rule")
def rules(request: HttpRequest) -> HttpResponse:
    """Set how far a rule may go."""
    form = RuleForm(request.POST)
    return _do(
        request,
        form,
        lambda sent: guarding.set_rule(sent["rule"], sent["mode"], actor=Actor.of(request.user), reason=sent["reason"]),
        lambda rule: f"{rule.get_name_display()}: {rule.get_mode_display()}.",
    )


@require_POST
@needs("switch_automation")
def automation(request: HttpRequest) -> HttpResponse:
    """Switch automatic rollbacks off or on."""
    return _do(
        request,
        SwitchForm(request.POST),
        lambda sent: guarding.switch(sent["on"] == "true", actor=Actor.of(request.user), reason=sent["reason"]),
        lambda switched: f"Automatic rollbacks are {'on' if switched.is_on else 'off'}.",
    )


@require_POST
@needs("rehearse_rollback")
def rehearsals(request: HttpRequest) -> HttpResponse:
    """Rehearse the way back now."""
    return _do(
        request,
        forms.Form(request.POST),
        lambda sent: rehearsing.rehearse(actor=Actor.of(request.user)),
        lambda done: (
            f"Way back proven in {measured_seconds(done.back_seconds)}."
            if done.state == Rehearsal.State.PROVEN
            else f"The rehearsal failed: {done.failure}."
        ),
    )


@require_POST
@needs("restore_fleet")
def restores(request: HttpRequest) -> HttpResponse:
    """Ask for a restore of the fleet's tables."""

    def ask(sent: dict[str, Any]) -> Restore:
        until = sent["until"] and sent["until"].replace(tzinfo=UTC)
        restore = restoring.ask(actor=Actor.of(request.user), reason=sent["reason"], until=until)
        restoring.enqueue(restore)
        return restore

    return _do(
        request,
        RestoreForm(request.POST),
        ask,
        lambda restore: f"Restore {restore.pk} from {restore.get_source_display()} is asked for.",
    )


@require_POST
@needs("roll_back")
def corruption_rollbacks(request: HttpRequest) -> HttpResponse:
    """Take everything to legacy because data is corrupt; the restore from the log follows by itself."""

    def act(sent: dict[str, Any]) -> rolling_back.RollbackRecord:
        record = rolling_back.roll_back("data_corruption", reason=sent["reason"], actor=Actor.of(request.user))
        rolling_back.record_now()
        return record

    def told(record: rolling_back.RollbackRecord) -> str:
        if record.state == rolling_back.OBSERVED:
            return f"Rolled back to 0 %, observed after {measured_seconds(record.seconds)}."
        return f"Asked for 0 %. Not confirmed: {'; '.join(record.late)}. It can be repeated."

    return _do(request, ReasonForm(request.POST), act, told)


def _do(
    request: HttpRequest, form: forms.Form, act: Callable[[dict[str, Any]], Any], told: Callable[[Any], str]
) -> HttpResponse:
    """Act on what was sent and answer the forms as they are now, or with what is wrong and what was typed."""
    problem = " ".join(str(error) for errors in form.errors.values() for error in errors)
    done = None
    if not problem:
        try:
            done = act(form.cleaned_data)
        except Refused as refused:
            problem = f"{str(refused)[:1].upper()}{str(refused)[1:]}"
    typed = {name: request.POST.get(name, "") for name in ("reason", "rule", "mode", "until")} if problem else {}
    context = {**_facts(None), **_buttons(request), "problem": problem, "problem_of": request.path, "typed": typed}
    response = render(request, _FORMS, context, status=422 if problem else 200)
    if done is not None:
        response["HX-Trigger"] = json.dumps({"cockpit:done": {"region": "guard", "sentence": told(done)}})
    return response


def _buttons(request: HttpRequest) -> dict[str, Any]:
    return {
        "can": {name: request.user.has_perm(f"migration.{name}") for name in MAY},
        "modes": [(mode.value, mode.value.replace("_", " ")) for mode in Mode],
        "say_why": SAY_WHY,
    }


def _facts(pk: int | None) -> dict[str, Any]:
    shown = get_object_or_404(Rollback, pk=pk) if pk is not None else Rollback.objects.first()
    remaining = advancing.cool_down_remaining()
    return {
        "rollback": shown,
        "asked_pk": pk,
        "scale": rollback_scale({"seconds": shown.seconds, "budget_seconds": shown.budget_seconds}) if shown else None,
        "ours": OUR_ROLLBACK_SECONDS,
        "names": (phase_of(shown.from_phase).name, phase_of(shown.to_phase).name) if shown else None,
        "track": _track(shown) if shown else [],
        "entries": _entries(shown) if shown else [],
        "rollbacks": Rollback.objects.all()[:LISTED],
        "guard": guarding.state(),
        "proof": rehearsing.proof(),
        "rehearsals": Rehearsal.objects.all()[:5],
        "restores": Restore.objects.all()[:5],
        "cool_down_seconds": remaining.total_seconds() if remaining else None,
    }


def _track(shown: Rollback) -> list[tuple[float, str]]:
    """What happened when, in seconds from the decision, as far as it was measured."""
    found = [(0.0, f"{shown.actor} decides")]
    if shown.written_seconds is not None:
        found.append((shown.written_seconds, f"route {shown.route_version} written"))
    found += [(seconds, f"{name} acknowledged") for name, seconds in shown.acknowledged.items()]
    if shown.seconds is not None:
        found.append((shown.seconds, "observed: every probe obeys"))
    return sorted(found)


def _entries(shown: Rollback) -> list[AuditEntry]:
    """The audit log around it."""
    around = timedelta(seconds=TOLD_AROUND_SECONDS)
    span = (shown.decided_at - around, shown.decided_at + around)
    return list(AuditEntry.objects.filter(at__range=span).order_by("sequence")[:40])
