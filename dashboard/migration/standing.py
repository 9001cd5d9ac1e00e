"""A page that stands still under a live bar: its own contents come with it, or by htmx regions."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from dashboard.partials import bar
from dashboard.personal import personal_context
from dashboard.snapshot import take


def standing(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """The page with the bar as it is now; the live feed renews the bar."""
    snapshot = take()
    shown = bar(snapshot)
    live = {"at": shown.at, "now": snapshot.at, "regions": shown.html, "data": shown.data, "views": ["migration/bar"]}
    personal = personal_context(request, snapshot.status)
    return render(request, template, {**personal, **live, **context}, status=status)
