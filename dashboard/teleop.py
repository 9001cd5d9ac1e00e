"""The page of operation, and its one form: asking a robot to end its session."""

import json

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dashboard import operating
from dashboard.access import needs, signed_in
from dashboard.forms import StopForm
from dashboard.partials import bar
from dashboard.personal import personal_context
from dashboard.snapshot import take
from teleop import current, stopping
from teleop.errors import CannotStop, NoSuchRobot


@require_GET
@never_cache
@signed_in
def page(request: HttpRequest) -> HttpResponse:
    """Who drives what now, complete without a script."""
    snapshot = take()
    shown = bar(snapshot)
    facts = operating.facts_at(timezone.now())
    return render(
        request,
        "dashboard/teleop.html",
        {
            **personal_context(request, snapshot.status),
            "page": "teleop",
            "at": shown.at,
            "regions": {**shown.html, **operating.regions(facts)},
            "data": shown.data,
            "views": ("migration/bar", "operating"),
            **_stop_context(request),
        },
    )


@require_GET
@never_cache
@signed_in
def stop_form(request: HttpRequest) -> HttpResponse:
    """The form with the robots that are in a session now."""
    return render(request, "dashboard/_teleop_stop_form.html", _stop_context(request))


@require_POST
@needs("stop_session", app="teleop")
def stops(request: HttpRequest) -> HttpResponse:
    """Ask. Says “asked”: what came of it stands in the list, once the robot has answered."""
    form = StopForm(request.POST)
    if not form.is_valid():
        problem = " ".join(str(error) for errors in form.errors.values() for error in errors)
        return _again(request, problem)
    asked = form.cleaned_data
    try:
        stopping.ask_to_stop(asked["robot"], reason=asked["reason"], by=request.user.get_username(), at=timezone.now())
    except (NoSuchRobot, CannotStop) as refused:
        return _again(request, f"{str(refused)[:1].upper()}{str(refused)[1:]}.")
    response = render(request, "dashboard/_teleop_stop_form.html", _stop_context(request))
    sentence = f"Asked {asked['robot']} to end its session. Its answer will stand under “Requests to stop”."
    response["HX-Trigger"] = json.dumps({"cockpit:done": {"region": "teleop-stop", "sentence": sentence}})
    return response


def _again(request: HttpRequest, problem: str) -> HttpResponse:
    typed = {"reason": request.POST.get("reason", ""), "robot": request.POST.get("robot", "")}
    context = {**_stop_context(request), "problem": problem, "typed": typed}
    return render(request, "dashboard/_teleop_stop_form.html", context, status=422)


def _stop_context(request: HttpRequest) -> dict[str, object]:
    robots = list(current.operated().values_list("robot_id", flat=True)[: operating.MOST_ROWS])
    return {"may_stop": request.user.has_perm(stopping.STOP_SESSION), "stoppable": sorted(robots)}
