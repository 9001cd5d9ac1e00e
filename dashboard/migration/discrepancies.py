"""The pages of the discrepancies: what differs, live, and what may be done about one."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dashboard.access import needs, signed_in
from dashboard.forms import SAY_WHY
from dashboard.live.view import MappingState
from dashboard.partials import bar
from dashboard.personal import personal_context
from dashboard.snapshot import take
from migration.actors import Actor
from migration.clock import system_clock
from migration.errors import Refused
from migration.models import Comparison, Discrepancy, Reconciliation
from migration.validation import consistency, reconciling

VIEW = "discrepancies"
#: rows on the page; the API lists all
SHOWN = 200
PERMISSION = "reconcile"

_LIST_REGIONS = ("consistency", "cohorts", "rows", "ended")
_ONE_REGIONS = ("values", "history")
_TEMPLATES = "dashboard/migration"
_LOOKS = {"pending": "wait", "confirmed": "bad", "explained": "off", "fixed": "ok", "settled": "ok"}
_DONE_LOOKS = {"applied": "ok", "failed": "bad", "void": "off", "rejected": "off"}


class DiscrepancyViews:
    """The source of the views `discrepancies` and `discrepancies/<number>`: their regions as HTML."""

    def knows(self, name: str) -> bool:
        """The list, and any number: one that is not there says so."""
        number = name.removeprefix(f"{VIEW}/")
        return name == VIEW or (number.isascii() and number.isdecimal() and len(number) < 19)

    def look(self, names: Sequence[str]) -> Mapping[str, MappingState]:
        """The regions now."""
        at = system_clock().now().isoformat()
        return {
            name: MappingState(at, html=_list() if name == VIEW else _one(int(name.removeprefix(f"{VIEW}/"))))
            for name in names
        }


class ExplanationForm(forms.Form):
    """Why it is no fault."""

    explanation = forms.CharField(max_length=2000, error_messages={"required": SAY_WHY})


class ProposalForm(forms.Form):
    """Who takes the other's row, and why."""

    taker = forms.ChoiceField(
        choices=Reconciliation.Taker.choices,
        error_messages={
            "required": "Say which system takes the other’s.",
            "invalid_choice": "Say which system takes the other’s.",
        },
    )
    reason = forms.CharField(max_length=2000, error_messages={"required": SAY_WHY})


class ReviewForm(forms.Form):
    """Yes, or no and why."""

    verdict = forms.ChoiceField(
        choices=[("approve", "approve"), ("reject", "reject")],
        error_messages={"required": "Approve or reject.", "invalid_choice": "Approve or reject."},
    )
    why = forms.CharField(max_length=2000, required=False)


@require_GET
@never_cache
@signed_in
def discrepancies(request: HttpRequest) -> HttpResponse:
    """What differs, complete without a script."""
    return _page(request, f"{_TEMPLATES}/discrepancies.html", VIEW, _list())


@require_GET
@never_cache
@signed_in
def discrepancy(request: HttpRequest, pk: int) -> HttpResponse:
    """One discrepancy, with what may be done about it."""
    one = Discrepancy.objects.filter(pk=pk).first()
    if one is None:
        raise Http404(f"there is no discrepancy {pk}")
    return _page(request, f"{_TEMPLATES}/discrepancy.html", f"{VIEW}/{pk}", _one(pk), **_actions_context(request, one))


@require_POST
@needs(PERMISSION)
def explanations(request: HttpRequest, pk: int) -> HttpResponse:
    """Explain it."""
    form = ExplanationForm(request.POST)
    if not form.is_valid():
        return _problem(request, pk, "explain", _sentences(form))
    try:
        reconciling.explain(pk, actor=Actor.of(request.user), explanation=form.cleaned_data["explanation"])
    except Refused as refused:
        return _problem(request, pk, "explain", str(refused))
    return _done(request, pk, "Explained. It holds for these values.")


@require_POST
@needs(PERMISSION)
def reconciliations(request: HttpRequest, pk: int) -> HttpResponse:
    """Propose a reconciliation."""
    form = ProposalForm(request.POST)
    if not form.is_valid():
        return _problem(request, pk, "propose", _sentences(form))
    asked = form.cleaned_data
    try:
        reconciling.propose(pk, asked["taker"], actor=Actor.of(request.user), reason=asked["reason"])
    except Refused as refused:
        return _problem(request, pk, "propose", str(refused))
    return _done(request, pk, "Proposed. Somebody else has to review it.")


@require_POST
@needs(PERMISSION)
def reviews(request: HttpRequest, pk: int, reconciliation: int) -> HttpResponse:
    """Approve and apply, or reject."""
    if not Reconciliation.objects.filter(pk=reconciliation, discrepancy=pk).exists():
        raise Http404(f"discrepancy {pk} has no reconciliation {reconciliation}")
    form = ReviewForm(request.POST)
    if not form.is_valid():
        return _problem(request, pk, "review", _sentences(form))
    approved = form.cleaned_data["verdict"] == "approve"
    try:
        found = reconciling.review(
            reconciliation, actor=Actor.of(request.user), approved=approved, reason=form.cleaned_data["why"]
        )
    except Refused as refused:
        return _problem(request, pk, "review", str(refused))
    if not approved:
        return _done(request, pk, "Rejected. Nothing was changed.")
    found = reconciling.apply(found.pk)
    said = "Applied: both systems were read equal." if found.state == Reconciliation.State.APPLIED else found.failure
    return _done(request, pk, said[:1].upper() + said[1:])


def _list() -> dict[str, str]:
    """The list's regions: what is open, failures first, and what ended lately."""
    states = Discrepancy.State
    open_now = Discrepancy.objects.filter(state__in=Discrepancy.OPEN)
    counts = {state.value: open_now.filter(state=state).count() for state in Discrepancy.OPEN}
    by_state = [
        open_now.filter(state=state).order_by("id") for state in (states.CONFIRMED, states.PENDING, states.EXPLAINED)
    ]
    shown = [one for rows in by_state for one in rows[:SHOWN]][:SHOWN]
    waiting = set(Reconciliation.objects.filter(state__in=Reconciliation.OPEN).values_list("discrepancy_id", flat=True))
    context = {
        "latest": consistency.latest(Comparison.objects.first()),
        "counts": counts,
        "rows": [{"one": one, "look": _LOOKS[one.state], "waits": one.pk in waiting} for one in shown],
        "more": sum(counts.values()) - len(shown),
        "ended": [
            {"one": one, "look": _LOOKS[one.state]}
            for one in Discrepancy.objects.filter(state__in=[states.FIXED, states.SETTLED]).order_by("-ended_at")[:10]
        ],
    }
    return {f"discrepancies-{name}": _render(name, context) for name in _LIST_REGIONS}


def _one(pk: int) -> dict[str, str]:
    one = Discrepancy.objects.filter(pk=pk).first()
    history = [
        {"one": reconciliation, "look": _DONE_LOOKS.get(reconciliation.state, "wait")}
        for reconciliation in Reconciliation.objects.filter(discrepancy=pk)
    ]
    context = {"one": one, "look": _LOOKS[one.state] if one else "none", "history": history}
    return {f"discrepancy-{name}": _render(name, context) for name in _ONE_REGIONS}


def _render(region: str, context: dict[str, Any]) -> SafeString:
    return mark_safe(render_to_string(f"{_TEMPLATES}/_discrepancy_{region}.html", context).strip())


def _page(request: HttpRequest, template: str, view: str, regions: dict[str, str], **more: Any) -> HttpResponse:
    snapshot = take()
    shown = bar(snapshot)
    context = {**personal_context(request, snapshot.status), "at": shown.at, "data": shown.data}
    context |= {"regions": {**shown.html, **regions}, "views": ("migration/bar", view), "page": VIEW}
    return render(request, template, {**context, **more})


def _actions_context(request: HttpRequest, one: Discrepancy) -> dict[str, Any]:
    """What this person may do about it, and why not what they may not."""

    waiting = one.reconciliations.filter(state__in=Reconciliation.OPEN).first()
    takers = [
        {"value": taker.value, "label": taker.label, "why_not": reconciling.why_not(one, taker)}
        for taker in Reconciliation.Taker
    ]
    return {
        "discrepancy": one,
        "may_reconcile": request.user.has_perm(f"migration.{PERMISSION}"),
        "waiting": waiting,
        "is_mine": waiting is not None and waiting.proposed_by == request.user.get_username(),
        "takers": takers,
        "can_be_proposed": any(not taker["why_not"] for taker in takers),
        "can_be_explained": one.state in (Discrepancy.State.CONFIRMED, Discrepancy.State.EXPLAINED),
    }


def _actions(request: HttpRequest, pk: int, status: int = 200, **more: Any) -> HttpResponse:
    one = Discrepancy.objects.filter(pk=pk).first()
    if one is None:
        raise Http404(f"there is no discrepancy {pk}")
    context = {**_actions_context(request, one), **more}
    return render(request, f"{_TEMPLATES}/_discrepancy_actions.html", context, status=status)


def _done(request: HttpRequest, pk: int, sentence: str) -> HttpResponse:
    response = _actions(request, pk)
    response["HX-Trigger"] = json.dumps({"cockpit:done": {"region": "discrepancy", "sentence": sentence}})
    return response


def _problem(request: HttpRequest, pk: int, where: str, sentence: str) -> HttpResponse:
    typed = {name: value for name, value in request.POST.items() if name != "csrfmiddlewaretoken"}
    told = f"{sentence[:1].upper()}{sentence[1:]}"
    return _actions(request, pk, 422, problem={"where": where, "sentence": told}, typed=typed)


def _sentences(form: forms.Form) -> str:
    return " ".join(str(error) for errors in form.errors.values() for error in errors)
