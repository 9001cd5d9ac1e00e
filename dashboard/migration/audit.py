"""The audit log: filtered, proven, exported."""

from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from dashboard.access import signed_in
from dashboard.forms import AuditForm
from dashboard.migration.framing import framed
from migration.api.audit import proof, streamed
from migration.auditing.exporting import FORMATS
from migration.auditing.querying import narrowed
from migration.models import AuditEntry
from migration.rules.auditing import facets

_ON_A_PAGE = 50


@require_GET
@never_cache
@signed_in
def audit(request: HttpRequest) -> HttpResponse:
    """The newest entries that the filters leave; `before` goes on to older ones."""
    form = AuditForm(request.GET)
    asked = form.cleaned_data if form.is_valid() else {}
    entries = narrowed(AuditEntry.objects.all(), asked) if form.is_valid() else AuditEntry.objects.none()
    if before := asked.get("before"):
        entries = entries.filter(sequence__lt=before)
    shown = list(entries.order_by("-sequence")[: _ON_A_PAGE + 1])
    context = {
        "rows": [_row(entry) for entry in shown[:_ON_A_PAGE]],
        "older": _query(request, before=str(shown[_ON_A_PAGE - 1].sequence)) if len(shown) > _ON_A_PAGE else "",
        "filters": {name: request.GET.get(name, "") for name in ("q", "actor", "action", "since", "until")},
        "actors": AuditEntry.objects.order_by("actor").values_list("actor", flat=True).distinct(),
        "actions": AuditEntry.objects.order_by("action").values_list("action", flat=True).distinct(),
        "problem": " ".join(f"{name}: {' '.join(map(str, said))}" for name, said in form.errors.items()),
        "exports": [(one, f"format={one}&{_query(request)}") for one in FORMATS],
    }
    return framed(request, "dashboard/migration/audit.html", "audit", context, status=200 if form.is_valid() else 422)


@require_GET
@never_cache
@signed_in
def audit_proof(request: HttpRequest) -> HttpResponse:
    """Walk the chain now."""
    return render(request, "dashboard/migration/_audit_proof.html", {"proof": proof()})


@require_GET
@never_cache
@signed_in
def audit_export(request: HttpRequest) -> StreamingHttpResponse:
    """What the filters leave, as a file."""
    form = AuditForm(request.GET)
    asked = form.cleaned_data if form.is_valid() else {}
    as_format = request.GET.get("format", "")
    return streamed(request, narrowed(AuditEntry.objects.all(), asked), as_format if as_format in FORMATS else "jsonl")


def _query(request: HttpRequest, **more: str) -> str:
    query = request.GET.copy()
    for name in ("before", "format"):
        query.pop(name, None)
    for name, value in more.items():
        query[name] = value
    return query.urlencode()


def _row(entry: AuditEntry) -> dict[str, Any]:
    told = facets(entry.detail)
    return {
        "entry": entry,
        "why": told.why,
        "before": _words(told.before),
        "after": _words(told.after),
        "rest": _words(dict(told.rest)),
    }


def _words(value: Any) -> str:
    """A value of a detail as one line."""
    if value is None or value == {}:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_words(inside) or '–'}" for name, inside in value.items())
    if isinstance(value, list):
        return ", ".join(_words(inside) or "–" for inside in value) or "none"
    return str(value)
