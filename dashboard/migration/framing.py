"""What the pages of the migration share: the live bar around them, and answers to the forms of lists."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from dashboard.partials import bar
from dashboard.personal import personal_context
from dashboard.snapshot import take


def framed(
    request: HttpRequest, template: str, page: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """A whole page with the bar, its buttons and the live view that renews the bar."""
    snapshot = take()
    shown = bar(snapshot)
    frame = {
        **{"at": shown.at, "now": snapshot.at, "regions": shown.html, "data": shown.data},
        **{"views": ("migration/bar",), "page": page},
    }
    personal = personal_context(request, snapshot.status)
    return render(request, template, {**personal, **frame, **context}, status=status)


def done(request: HttpRequest, template: str, context: dict[str, Any], sentence: str) -> HttpResponse:
    """The region as it is now; the sentence goes to the corner of the page."""
    response = render(request, template, context)
    response["HX-Trigger"] = json.dumps({"cockpit:done": {"region": "list", "sentence": sentence}})
    return response


def refused(request: HttpRequest, template: str, context: dict[str, Any], where: str, reason: str) -> HttpResponse:
    """The region with the reason in the form `where` and what was typed kept."""
    typed = {name: value for name, value in request.POST.items() if name != "csrfmiddlewaretoken"}
    sentence = f"{reason[:1].upper()}{reason[1:]}"
    return render(
        request, template, {**context, "problem": {"where": where, "sentence": sentence}, "typed": typed}, status=422
    )
