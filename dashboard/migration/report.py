"""The report: criteria, phases, rollbacks; and a stored phase judged again."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from dashboard.access import signed_in
from dashboard.forms import ReplayForm
from dashboard.migration.framing import framed
from migration.models import PhaseRun
from migration.reporting import rendering
from migration.reporting.replaying import NothingStored, replay
from migration.reporting.report import report as made
from migration.rules.replaying import BadThreshold, threshold

_MEDIA = {"json": "application/json", "html": "text/html; charset=utf-8", "text": "text/plain; charset=utf-8"}


@require_GET
@never_cache
@signed_in
def report(request: HttpRequest) -> HttpResponse:
    """The page; `?format=` gives the same as a file."""
    found = made()
    as_format = request.GET.get("format", "")
    if as_format in _MEDIA:
        response = HttpResponse(rendering.FORMATS[as_format](found), content_type=_MEDIA[as_format])
        suffix = "txt" if as_format == "text" else as_format
        response["Content-Disposition"] = f'attachment; filename="migration-report.{suffix}"'
        return response
    runs = PhaseRun.objects.order_by("id")
    context = {"report": found, "formats": list(_MEDIA), "runs": runs}
    return framed(request, "dashboard/migration/report.html", "report", context)


@require_GET
@never_cache
@signed_in
def phase_replay(request: HttpRequest) -> HttpResponse:
    """What other thresholds would have done in a stored phase."""
    form = ReplayForm(request.GET)
    context: dict[str, Any] = {}
    status = 422
    if not form.is_valid():
        context["problem"] = "Choose a phase run."
    else:
        try:
            values = {word: threshold(word, text) for word, text in form.cleaned_data.items() if word != "run" and text}
            context["replay"] = replay(form.cleaned_data["run"], values).as_json()
            status = 200
        except (BadThreshold, NothingStored) as error:
            context["problem"] = str(error)
    return render(request, "dashboard/migration/_replay.html", context, status=status)
