"""What watches the machines: scrape targets, alert rules, dashboards, and the way of an alert to a person."""

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from django.conf import settings

from migration.checklist.registry import Finding, check, holds, not_needed
from migration.models import Alert
from migration.rules.voting import Role

WAIVED = "waived"
#: Alertmanager gathers for its `group_wait` before it tells anybody
ALERT_ARRIVES_SECONDS = 45.0
TEST_ALERT = "AlertRouteTest"


def _is_waived() -> bool:
    return bool(settings.ALERT_PIPELINE == WAIVED)


@check(
    "dashboards",
    "Dashboards and alert rules are ready",
    Role.MONITORING,
    "Load the rules into Prometheus and the dashboards into Grafana, and mend the targets that are named "
    "(PROMETHEUS_URL, GRAFANA_URL).",
    waivable=True,
)
def dashboards() -> Finding:
    """Every scrape target is up, rules are loaded and evaluate, Grafana has dashboards (if GRAFANA_URL names one)."""
    if _is_waived():
        return not_needed("ALERT_PIPELINE=waived: no Prometheus is installed here")
    wrong: list[str] = []
    try:
        targets = _get(f"{settings.PROMETHEUS_URL}/api/v1/targets?state=active")["data"]["activeTargets"]
        groups = _get(f"{settings.PROMETHEUS_URL}/api/v1/rules")["data"]["groups"]
        boards = _get(f"{settings.GRAFANA_URL}/api/search?type=dash-db") if settings.GRAFANA_URL else None
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return holds(False, f"cannot be asked: {error!r}")
    rules = [rule for group in groups for rule in group["rules"] if rule["type"] == "alerting"]
    wrong += [f"target {target['scrapeUrl']} is {target['health']}" for target in targets if target["health"] != "up"]
    wrong += [f"rule {rule['name']}: {rule['lastError']}" for rule in rules if rule["health"] != "ok"]
    wanted = {"target": targets, "alert rule": rules, **({} if boards is None else {"dashboard": boards})}
    wrong += [f"no {what}" for what, found in wanted.items() if not found]
    shown = "no Grafana is asked (GRAFANA_URL is empty)" if boards is None else f"{len(boards)} dashboards"
    told = f"{len(targets)} targets up, {len(rules)} alert rules, {shown}"
    counted = {"targets": len(targets), "rules": len(rules), "boards": len(boards or ())}
    return holds(not wrong, "; ".join(wrong[:5]) or told, **counted)


def _get(url: str) -> Any:
    answer = httpx.get(url, timeout=5.0)
    answer.raise_for_status()
    return answer.json()


@check(
    "alert-route",
    "A test alert arrives",
    Role.MONITORING,
    "Let Alertmanager's receiver lead to this site's webhook with the right secret (ALERTMANAGER_URL, docs/alerts.md).",
    fresh_for=timedelta(hours=24),
    every=timedelta(hours=12),
    waivable=True,
)
def alert_route() -> Finding:
    """End to end: an alert of our own is given to Alertmanager and must come back as one of ours."""
    if _is_waived():
        return not_needed("ALERT_PIPELINE=waived: no Alertmanager is installed here")
    mark, began, starts_at = uuid.uuid4().hex[:12], time.monotonic(), datetime.now(UTC)
    try:
        _send(mark, starts_at)
        arrived = _wait_for(mark, began + ALERT_ARRIVES_SECONDS)
        _send(mark, starts_at, ends_at=datetime.now(UTC))
    except httpx.HTTPError as error:
        return holds(False, f"Alertmanager does not take it: {error!r}")
    if not arrived:
        return holds(False, f"the test alert did not arrive within {ALERT_ARRIVES_SECONDS:.0f} s", mark=mark)
    seconds = time.monotonic() - began
    return holds(True, f"the test alert arrived in {seconds:.1f} s", seconds=round(seconds, 2))


def _send(mark: str, starts_at: datetime, ends_at: datetime | None = None) -> None:
    """Alertmanager refuses an end that is not after the beginning, and knows the alert by its labels."""
    alert: dict[str, Any] = {
        "labels": {"alertname": f"{TEST_ALERT} {mark}", "severity": "warning"},
        "annotations": {"summary": "a test of the way of an alert; nothing is wrong"},
        "startsAt": starts_at.isoformat(),
    }
    if ends_at:
        alert["endsAt"] = ends_at.isoformat()
    httpx.post(f"{settings.ALERTMANAGER_URL}/api/v2/alerts", json=[alert], timeout=5.0).raise_for_status()


def _wait_for(mark: str, deadline: float) -> bool:
    while time.monotonic() < deadline:
        if Alert.objects.filter(name__contains=mark).exists():
            return True
        time.sleep(0.5)
    return False
