"""What the pages of the migration share: the live bar around them, and answers to the forms of lists."""

import json
from typing import Any

from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from dashboard.partials import bar
from dashboard.personal import personal_context
from dashboard.snapshot import take
from migration.errors import Refused


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


def refuse(form: Form, error: Refused) -> None:
    """Put the reason beside the field that it names ("ends_at: …"), else under the form."""
    name, colon, reason = str(error).partition(": ")
    is_named = bool(colon) and name in form.fields
    form.add_error(name if is_named else None, reason if is_named else f"{str(error)[:1].upper()}{str(error)[1:]}")


def refused_form(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """The region with a form in it that says beside each field what is wrong and keeps what was typed."""
    return render(request, template, context, status=422)


def refused(request: HttpRequest, template: str, context: dict[str, Any], where: str, reason: str) -> HttpResponse:
    """The region with the reason in the form `where` and what was typed kept."""
    typed = {name: value for name, value in request.POST.items() if name != "csrfmiddlewaretoken"}
    sentence = f"{reason[:1].upper()}{reason[1:]}"
    return render(
        request, template, {**context, "problem": {"where": where, "sentence": sentence}, "typed": typed}, status=422
    )
