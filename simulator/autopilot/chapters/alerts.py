"""Alertmanager's alerts: one is acknowledged by the person on call, one takes traffic back a phase."""

import os
from datetime import UTC, datetime
from typing import Any

from simulator.autopilot.flight import Flight, say

WEBHOOK = "/api/v2/migration/alerts/webhook"
DISK = {"alertname": "DiskFillsUp", "severity": "critical", "instance": "db-1"}
MOTORS = {"alertname": "MotorsStall", "severity": "critical", "action": "rollback", "site": "A"}


def fire_and_acknowledge(flight: Flight) -> None:
    """One that fires, is taken by somebody, and is over."""
    crew, began_at = flight.crew, datetime.now(UTC).isoformat()
    _send(flight, DISK, "firing", began_at)
    alert = crew.until("the person on call is told", lambda: _told(flight), seconds=30)
    crew.ask("oncall", f"/api/v2/migration/alerts/{alert['id']}/acknowledge", {"comment": "looking"})
    taken = _named(flight, DISK, "open")
    _send(flight, DISK, "resolved", began_at)
    over = crew.until("the alert is over", lambda: _named(flight, DISK, "over"), seconds=20)
    flight.claim(
        "an alert of Alertmanager's was acknowledged by the person on call, and ended",
        bool(taken) and taken["acknowledged_by"] == "oncall" and bool(over["closed_at"]),
        f"{alert['title']}: told {', '.join(alert['told'])}, taken by {over['acknowledged_by']}",
    )


def roll_back(flight: Flight) -> None:
    """One whose rule says `action: rollback`: traffic goes back a phase, once, however often it is repeated."""
    crew, known, began_at = flight.crew, len(flight.crew.rollbacks()), datetime.now(UTC).isoformat()
    say("  Alertmanager says that motors stall, and that this rolls back")
    for _ in range(2):
        _send(flight, MOTORS, "firing", began_at)
    done = crew.until("the alert rolled back", lambda: crew.rollbacks()[known:], seconds=20)
    alert = crew.until("the alert is kept", lambda: _named(flight, MOTORS, "open"), seconds=20)
    crew.ask("oncall", f"/api/v2/migration/alerts/{alert['id']}/acknowledge", {"comment": "motors were swapped"})
    _send(flight, MOTORS, "resolved", began_at)
    crew.until("the alert is over", lambda: _named(flight, MOTORS, "over"), seconds=20)
    first = done[0]
    flight.claim(
        "a critical alert took traffic back one phase, once",
        len(done) == 1
        and first["actor"] == "alertmanager"
        and (first["from_percent"], first["to_percent"]) == (50, 25),
        f"{alert['outcome']}; {len(done)} rollbacks",
    )


def _send(flight: Flight, labels: dict[str, str], status: str, began_at: str) -> None:
    """As Alertmanager posts it, with the webhook's own secret."""
    sentence = f"{labels['alertname']}, said the autopilot's Alertmanager"
    alert = {
        "status": status,
        "labels": labels,
        "annotations": {"summary": sentence},
        "startsAt": began_at,
        "fingerprint": labels["alertname"],
    }
    body = {"version": "4", "groupKey": "autopilot", "alerts": [alert]}
    flight.crew.as_nobody(WEBHOOK, body, {"authorization": f"Bearer {os.environ['ALERTMANAGER_TOKEN']}"})


def _told(flight: Flight) -> dict[str, Any] | None:
    """The alert, once its escalation has begun."""
    alert = _named(flight, DISK, "waiting")
    return alert if alert and alert["told"] else None


def _named(flight: Flight, labels: dict[str, str], state: str) -> dict[str, Any] | None:
    rows = flight.crew.read(f"/api/v2/migration/alerts?state={state}")["results"]
    return next((row for row in rows if row["labels"].get("alertname") == labels["alertname"]), None)
