"""The page of the way forward: road, gates, ramp, votes, orders that wait, dry runs. Each form calls one use case."""

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dashboard import views
from dashboard.access import needs, signed_in
from dashboard.forms import ReasonForm
from dashboard.migration.regions import VIEW, screen
from dashboard.snapshot import take
from migration import climbing, foreseeing, pausing, presence, proposing, ramping, shortening
from migration.actors import Actor
from migration.drivers.errors import RouteError
from migration.errors import Refused
from migration.rules.phases import PHASES, UnknownPhase


@require_GET
@never_cache
@signed_in
def phases(request: HttpRequest) -> HttpResponse:
    """The page, complete without a script."""
    snapshot = take()
    context = views.context_of_page(request, snapshot, screen(snapshot), VIEW)
    return render(request, "dashboard/migration/phases.html", {**context, "page": "migration", "targets": PHASES})


@require_GET
@never_cache
@signed_in
def dry_run(request: HttpRequest) -> HttpResponse:
    """What going to a phase would do, to which robots. Nothing moves."""
    try:
        context = {"foreseen": foreseeing.dry_run(request.GET.get("to", ""))}
    except (UnknownPhase, RouteError) as error:
        return render(request, "dashboard/migration/_dry_run.html", {"problem": str(error)}, status=422)
    return render(request, "dashboard/migration/_dry_run.html", context)


def _pause(actor: Actor, reason: str) -> str:
    run = pausing.pause(actor=actor, reason=reason)
    return f"{run.phase.name} is paused: nothing moves forward until somebody resumes it."


def _resume(actor: Actor, reason: str) -> str:
    run = pausing.resume(actor=actor, reason=reason)
    return f"{run.phase.name} is resumed. The gates are asked as ever."


def _cancel_ramp(actor: Actor, reason: str) -> str:
    return (
        f"The ramp to {ramping.cancel(actor=actor, reason=reason).phase.name} is cancelled. Traffic stays where it is."
    )


def _complete_ramp(actor: Actor, reason: str) -> str:
    shift = climbing.complete(actor=actor, reason=reason)
    return f"Asked: {shift.words}. Waiting for {shift.waits_for}."


def _begin_ramp(actor: Actor, reason: str) -> str:
    shift = climbing.begin_again(actor=actor, reason=reason)
    return f"Asked: {shift.words}. Waiting for {shift.waits_for}."


def _shorten(actor: Actor, reason: str) -> str:
    proposal = shortening.shorten(actor=actor, reason=reason)
    if proposal.waits_for:
        return f"Proposed. It waits for {proposal.waits_for}."
    return "Two people agree: the phase's time is over. Every other gate stays."


#: word in the address → permission and use case
ACTIONS: dict[str, tuple[str, Callable[[Actor, str], str]]] = {
    "pause": ("pause_phase", _pause),
    "resume": ("pause_phase", _resume),
    "cancel-ramp": ("advance_phase", _cancel_ramp),
    "complete-ramp": ("advance_phase", _complete_ramp),
    "begin-ramp": ("advance_phase", _begin_ramp),
    "shorten": ("shorten_phase", _shorten),
}


@require_POST
@signed_in
def act(request: HttpRequest, action: str) -> HttpResponse:
    """Pause, resume, cancel, complete, begin again or shorten, with a reason; 403 without its permission."""
    if action not in ACTIONS:
        raise Http404(f"no action {action}; there are {', '.join(ACTIONS)}")
    codename, use_case = ACTIONS[action]
    return needs(codename)(lambda asked: _done(asked, use_case))(request)


@require_POST
@needs("advance_phase")
def proposal_cancellations(request: HttpRequest, proposal_id: int) -> HttpResponse:
    """Take a proposal back."""

    def cancel(actor: Actor, reason: str) -> str:
        return f"Proposal {proposing.cancel(proposal_id, actor=actor, reason=reason).pk} is cancelled."

    return _done(request, cancel)


@require_POST
@needs("roll_back")
def presences(request: HttpRequest) -> HttpResponse:
    """This person's page is in front of them."""
    presence.is_here(request.user)
    return HttpResponse(status=204)


def _done(request: HttpRequest, use_case: Callable[[Actor, str], str]) -> HttpResponse:
    form: Any = ReasonForm(request.POST)
    if not form.is_valid():
        return views.invalid(request, "way", form)
    try:
        sentence = use_case(Actor.of(request.user), form.cleaned_data["reason"])
    except Refused as refused:
        return views.refused(request, "way", refused)
    return views.done(request, "way", sentence)
