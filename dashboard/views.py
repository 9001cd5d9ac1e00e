"""The page and its forms: check what was sent, call one use case, show what came of it."""

import json
from typing import Any

from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_GET, require_POST

from dashboard.access import needs, signed_in, signed_in_script
from dashboard.forms import ReasonForm, RollbackForm, VoteForm
from dashboard.frames import latest
from dashboard.partials import Screen, bar, screen
from dashboard.personal import PERSONAL, personal_context, template_of
from dashboard.presentation import asked_percent, measured_seconds
from dashboard.robot import RobotViews
from dashboard.snapshot import Snapshot, take
from migration import advancing, latching, recording, rolling_back, shifting, voting
from migration.actors import Actor
from migration.errors import Refused
from migration.models import Proposal
from migration.rules.phases import phase_of

#: what stands on the page of all robots: words with their looks, filters, columns
FLEET_PAGE = {
    "livenesses": [("online", "ok"), ("late", "warn"), ("offline", "bad silent"), ("never", "none")],
    "owners": ["new", "legacy"],
    "filters": [(name, name.capitalize()) for name in ("kind", "site", "liveness", "owner", "status")],
    "columns": [
        ("id", "Robot", ""),
        ("kind", "Kind", ""),
        ("site", "Site", ""),
        ("liveness", "Liveness", ""),
        ("status", "Status", ""),
        ("operation", "Reports of its operation", ""),
        ("owner", "Owner", ""),
        ("bucket", "Where", ""),
        ("version", "Version", ""),
        ("battery", "Battery", "num"),
        ("heard", "Last heard", "num"),
    ],
}
#: of this process, for pages that are asked for whole
robots = RobotViews()


@require_GET
@never_cache
@signed_in
def overview(request: HttpRequest) -> HttpResponse:
    """The live page, complete without a script: what is true when it is asked for."""
    snapshot = take()
    context = context_of_page(request, snapshot, screen(snapshot), "migration", "fleet")
    return render(request, "dashboard/overview.html", {**context, "page": "overview"})


@require_GET
@never_cache
@signed_in
def fleet(request: HttpRequest) -> HttpResponse:
    """Every robot in one table that can be filtered; the rows come with the live view."""
    snapshot = take()
    context = context_of_page(request, snapshot, bar(snapshot), "migration/bar", "fleet")
    return render(request, "dashboard/fleet.html", {**context, **FLEET_PAGE, "page": "fleet", "fleet": snapshot.fleet})


@require_GET
@never_cache
@signed_in
def robot(request: HttpRequest, robot_id: str) -> HttpResponse:
    """One robot. 404 with the same page when none is known by this id: it may be heard while somebody waits for it."""
    view = f"robot/{robot_id}"
    if not robots.knows(view):
        raise Http404("no robot has such an id")
    snapshot, state = take(), robots.look([view])[view]
    context = context_of_page(request, snapshot, bar(snapshot), "migration/bar", view)
    context |= {"page": "robot", "robot_id": robot_id, "regions": {**context["regions"], **state.groups["html"]}}
    is_known = state.groups["data"]["known"]
    return render(request, "dashboard/robot.html", context, status=200 if is_known else 404)


@require_GET
@never_cache
@signed_in_script
@gzip_page
def frame(request: HttpRequest, view: str) -> HttpResponse:
    """The same whole that a new socket gets of a view, for pages whose socket is down."""
    if not latest.knows(view):
        raise Http404(f"there is no view {view}")
    return HttpResponse(latest.frame(view).text, content_type="application/json")


@require_GET
@never_cache
@signed_in
def personal_region(request: HttpRequest, region: str) -> HttpResponse:
    """The buttons of one region as this person may see them now."""
    if region not in PERSONAL:
        raise Http404(f"no region {region}; there are {', '.join(PERSONAL)}")
    return render(request, template_of(region), personal_context(request))


@require_POST
@needs("advance_phase")
def phase_advances(request: HttpRequest) -> HttpResponse:
    """Ask for the next phase."""
    try:
        shift = advancing.advance(actor=Actor.of(request.user))
    except Refused as error:
        return refused(request, "advance", error)
    if isinstance(shift, Proposal):
        return done(request, "advance", f"Proposed: {phase_of(shift.to_phase).name}. It waits for {shift.waits_for}.")
    asked = f"{phase_of(shift.to_phase).name}, {asked_percent(shift.from_percent)} → {asked_percent(shift.to_percent)}"
    return done(request, "advance", f"Asked: {asked}. Waiting for {shift.waits_for}.")


@require_POST
@needs("advance_phase")
def shift_cancellations(request: HttpRequest, shift_id: int) -> HttpResponse:
    """Take back a shift that no worker has taken yet."""
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return invalid(request, "shift", form)
    try:
        shift = shifting.cancel(shift_id, actor=Actor.of(request.user), reason=form.cleaned_data["reason"])
    except Refused as error:
        return refused(request, "shift", error)
    return done(request, "shift", f"Shift {shift.pk} is cancelled. The split is as it was.")


@require_POST
@needs("roll_back")
def rollbacks(request: HttpRequest) -> HttpResponse:
    """Roll back now. Says “rolled back” only when it was observed."""
    form = RollbackForm(request.POST)
    if not form.is_valid():
        return invalid(request, "rollback", form)
    asked = form.cleaned_data
    try:
        record = rolling_back.roll_back(
            asked["target"], reason=asked["reason"], actor=Actor.of(request.user), leaving=asked["leaving"] or None
        )
    except Refused as error:
        return refused(request, "rollback", error)
    rolling_back.record_now()
    moved = f"{asked_percent(record.from_percent)} → {asked_percent(record.to_percent)}"
    if record.state == rolling_back.FAILED:
        sentence = (
            f"The route could not be written: {'; '.join(record.late)}. Nothing has moved. It can be tried again."
        )
        return _problem(request, "rollback", sentence, status=503)
    if record.state == rolling_back.PARTIAL:
        return done(request, "rollback", f"Asked {moved}. Not confirmed: {'; '.join(record.late)}. It can be repeated.")
    return done(request, "rollback", f"Rolled back {moved}, observed after {measured_seconds(record.seconds)}.")


@require_POST
@needs("cast_vote")
def votes(request: HttpRequest) -> HttpResponse:
    """Vote on the next phase."""
    form = VoteForm(request.POST)
    if not form.is_valid():
        return invalid(request, "vote", form)
    try:
        given = form.cleaned_data
        vote = voting.cast(request.user, given["choice"], given["comment"], given["role"] or None)
    except Refused as error:
        return refused(request, "vote", error)
    stood_in = f" as backup of {voting.Role(vote.role).words}" if vote.as_backup else ""
    return done(request, "vote", f"Your {vote.choice.replace('_', '-')} is recorded{stood_in}.")


@require_POST
@needs("release_latch")
def latch_releases(request: HttpRequest) -> HttpResponse:
    """Release the latch of an emergency."""
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return invalid(request, "latch", form)
    recording.drain()  # the phase that the emergency ended must be known before the route follows the phase again
    try:
        version = latching.release(actor=Actor.of(request.user), reason=form.cleaned_data["reason"])
    except Refused as error:
        return refused(request, "latch", error)
    return done(request, "latch", f"The latch is released. Asked: route {version}.")


def context_of_page(request: HttpRequest, snapshot: Snapshot, shown: Screen, *views: str) -> dict[str, Any]:
    """What every live page needs: this person's buttons, the regions as they are now, and the views that renew them."""
    personal = personal_context(request, snapshot.status)
    return {**personal, "at": shown.at, "regions": shown.html, "data": shown.data, "views": views}


def done(request: HttpRequest, region: str, sentence: str) -> HttpResponse:
    """The region as it is now; the sentence goes to the corner of the page, and an open dialog closes."""
    response = render(request, template_of(region), personal_context(request))
    response["HX-Trigger"] = json.dumps({"cockpit:done": {"region": region, "sentence": sentence}})
    return response


def invalid(request: HttpRequest, region: str, form: Form) -> HttpResponse:
    """422 with what is wrong."""
    sentences = [str(error) for errors in form.errors.values() for error in errors]
    return _problem(request, region, " ".join(sentences), status=422)


def refused(request: HttpRequest, region: str, error: Refused) -> HttpResponse:
    """422 with why not."""
    return _problem(request, region, f"{str(error)[:1].upper()}{str(error)[1:]}", status=422)


def _problem(request: HttpRequest, region: str, sentence: str, *, status: int) -> HttpResponse:
    """The region with the sentence in it and what was typed kept."""
    typed: dict[str, Any] = {
        name: request.POST.get(name, "") for name in ("reason", "comment", "choice", "target", "role")
    }
    context = {**personal_context(request), "problem": sentence, "typed": typed}
    return render(request, template_of(region), context, status=status)
