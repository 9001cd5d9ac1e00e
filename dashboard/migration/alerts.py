"""Alerts, who was told, and what could not be told: acknowledging and sending again."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dashboard.access import needs, signed_in
from dashboard.forms import CommentForm
from dashboard.migration.framing import framed
from migration.actors import Actor
from migration.alerts import acknowledging, pipeline
from migration.alerts.path import escalation_path
from migration.clock import system_clock
from migration.errors import Refused
from migration.models import Alert, Delivery
from migration.notifying import delivering
from migration.notifying.destinations import destinations
from migration.rules.escalating import following

_OVER = 30
_DELIVERIES = 20
_LOOKS = {"waiting": "wait", "sent": "ok", "failed": "bad"}


@require_GET
@never_cache
@signed_in
def alerts(request: HttpRequest) -> HttpResponse:
    """The page."""
    return framed(request, "dashboard/migration/alerts.html", "alerts", _context(request))


@require_GET
@never_cache
@signed_in
def alerts_list(request: HttpRequest) -> HttpResponse:
    """What is on it now; the page asks every 2 s."""
    return render(request, "dashboard/migration/_alerts_list.html", _context(request))


@require_POST
@needs("acknowledge_alert")
def alert_acknowledgements(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Take care of one alert."""
    form = CommentForm(request.POST)
    if not form.is_valid():
        return _answered(request, problem="The comment is too long.", status=422)
    try:
        alert = acknowledging.acknowledge(alert_id, actor=Actor.of(request.user), comment=form.cleaned_data["comment"])
    except Refused as refused:
        return _answered(request, problem=f"Not acknowledged: {refused}.", status=422)
    return _answered(request, done=f"You have “{alert.title}”. It is not escalated any more.")


@require_POST
@needs("acknowledge_alert")
def delivery_retries(request: HttpRequest, delivery_id: int) -> HttpResponse:
    """Send a message again that was given up."""
    try:
        delivery = delivering.retry(delivery_id, actor=Actor.of(request.user))
    except Refused as refused:
        return _answered(request, problem=f"Not sent again: {refused}.", status=422)
    return _answered(request, done=f"Asked: the message to {delivery.destination} is on its way again.")


def _answered(request: HttpRequest, *, problem: str = "", done: str = "", status: int = 200) -> HttpResponse:
    context = {**_context(request), "problem": problem}
    response = render(request, "dashboard/migration/_alerts_list.html", context, status=status)
    if done:
        response["HX-Trigger"] = json.dumps({"cockpit:done": {"region": "alerts", "sentence": done}})
    return response


def _context(request: HttpRequest) -> dict[str, Any]:
    now = system_clock().now()
    path = escalation_path(now)
    rows = Alert.objects.prefetch_related("escalations")
    opened = [_opened(alert, path) for alert in rows.filter(closed_at=None)]
    opened.sort(key=lambda one: (one["alert"].severity != Alert.Severity.CRITICAL, one["alert"].opened_at))
    return {
        "now": now,
        "as_of": now.isoformat(),
        "opened": opened,
        "over": rows.exclude(closed_at=None).order_by("-closed_at")[:_OVER],
        "path": path,
        "deliveries": [
            {"delivery": one, "look": _LOOKS[one.state], "says": [each.sentence for each in one.notifications.all()]}
            for one in Delivery.objects.prefetch_related("notifications")[:_DELIVERIES]
        ],
        "destinations": [{"name": one.name, "channels": " and ".join(one.channels)} for one in destinations().values()],
        "pipeline_word": pipeline.word(now),
        "pipeline_age": pipeline.age_seconds(now),
        "pipeline_limit": pipeline.PROVEN_FOR_SECONDS,
        "may_acknowledge": request.user.has_perm("migration.acknowledge_alert"),
    }


def _opened(alert: Alert, path: Any) -> dict[str, Any]:
    told = list(alert.escalations.all())
    goes_on = alert.severity == Alert.Severity.CRITICAL and alert.acknowledged_at is None
    step = following(path, alert.opened_at, len(told)) if goes_on else None
    return {
        "alert": alert,
        "look": "bad" if alert.severity == Alert.Severity.CRITICAL else "warn",
        "told": told,
        "next": {"who": step[0].words, "at": step[1]} if step else None,
        "labels": sorted((name, value) for name, value in alert.labels.items() if name != "alertname"),
    }
