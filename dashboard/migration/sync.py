"""The page of sync: both ways, what throttles it, what waits, and what a person may order."""

import json
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dashboard.access import needs, signed_in
from dashboard.forms import SAY_WHY, ReasonForm
from dashboard.migration.framing import framed
from migration.actors import Actor
from migration.errors import Refused
from migration.models import HistoryGap, MatchEntry, QuarantinedRow
from migration.syncing import fleet, orders, tuning
from migration.syncing.status import sync_status

#: rows of a list on the page; the rest is in the API
LISTED = 50


class TuningForm(ReasonForm):
    """How much sync may ask of legacy."""

    interval_seconds = forms.FloatField(min_value=tuning.BOUNDS["interval_seconds"][0], max_value=60)
    calls_per_second = forms.FloatField(min_value=1, max_value=tuning.BOUNDS["calls_per_second"][1])
    batch_size = forms.IntegerField(min_value=1, max_value=int(tuning.BOUNDS["batch_size"][1]))
    paused = forms.BooleanField(required=False)


class MatchForm(ReasonForm):
    """Which robot an address is."""

    address = forms.GenericIPAddressField(error_messages={"required": "Which address?", "invalid": "No IP address."})
    robot_id = forms.CharField(max_length=128, error_messages={"required": "Which robot?"})


@require_GET
@never_cache
@signed_in
def sync(request: HttpRequest) -> HttpResponse:
    """The page, complete without a script."""
    return framed(request, "dashboard/migration/sync.html", "sync", {**_figures(), **_orders(request)})


@require_GET
@never_cache
@signed_in
def sync_figures(request: HttpRequest) -> HttpResponse:
    """What moves on the page."""
    return render(request, "dashboard/migration/_sync_figures.html", _figures())


@require_POST
@needs("sync_rows")
def sync_runs(request: HttpRequest) -> HttpResponse:
    """Ask for a full sync."""
    run = orders.full_sync(Actor.of(request.user))
    return _done(request, f"Asked: full sync {run.pk}. Its progress is shown above.")


@require_POST
@needs("sync_rows")
def sync_tunings(request: HttpRequest) -> HttpResponse:
    """Change how much sync may ask of legacy."""
    form = TuningForm(request.POST)
    if not form.is_valid():
        return _problem(request, "tuning", form)
    asked = dict(form.cleaned_data)
    reason = asked.pop("reason")
    tuning.tune(asked, actor=Actor.of(request.user), reason=reason)
    return _done(request, "Sync is tuned. It counts with the next look.")


@require_POST
@needs("sync_rows")
def sync_matches(request: HttpRequest) -> HttpResponse:
    """Match an address with a robot by hand."""
    form = MatchForm(request.POST)
    if not form.is_valid():
        return _problem(request, "match", form)
    asked = form.cleaned_data
    try:
        entry = fleet.match_by_hand(
            asked["address"], asked["robot_id"], actor=Actor.of(request.user), reason=asked["reason"]
        )
    except Refused as refused:
        form.add_error("robot_id", f"{str(refused)[:1].upper()}{str(refused)[1:]}.")
        return _problem(request, "match", form)
    return _done(request, f"{entry.address} is {entry.robot_id} from now on.")


def _figures() -> dict[str, Any]:
    waiting = QuarantinedRow.objects.filter(settled_at=None)
    gaps = HistoryGap.objects.all()
    state = sync_status()
    run = state["run"]
    return {
        "sync": state,
        "now": timezone.now(),
        "run_percent": 100 * run["done"] / run["rows"] if run and run["rows"] else 0,
        "waiting": waiting[:LISTED],
        "waiting_more": max(0, waiting.count() - LISTED),
        "gaps": gaps[:LISTED],
        "gaps_total": gaps.count(),
        "matches": MatchEntry.objects.order_by("robot_id", "address")[:LISTED],
        "matched": MatchEntry.objects.exclude(robot_id="").count(),
        "matches_total": MatchEntry.objects.count(),
    }


def _orders(request: HttpRequest, **more: Any) -> dict[str, Any]:
    tuned = sync_status()["tuning"]
    return {"may_sync": request.user.has_perm("migration.sync_rows"), "tuned": tuned, "say_why": SAY_WHY, **more}


def _done(request: HttpRequest, sentence: str) -> HttpResponse:
    response = render(request, "dashboard/migration/_sync_orders.html", _orders(request))
    response["HX-Trigger"] = json.dumps({"cockpit:done": {"region": "sync", "sentence": sentence}})
    return response


def _problem(request: HttpRequest, which: str, form: forms.Form) -> HttpResponse:
    """The forms with the sentence in place and what was typed kept."""
    sentences = " ".join(
        f"{name.replace('_', ' ')}: {error}" if name != "reason" else str(error)
        for name, errors in form.errors.items()
        for error in errors
    )
    context = _orders(request, problem={which: sentences}, typed=request.POST)
    return render(request, "dashboard/migration/_sync_orders.html", context, status=422)
