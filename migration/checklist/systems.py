"""Both systems: reachable, speaking the contract that robots count on, and agreeing on what time it is."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from django.conf import settings
from django.db import connection

from migration import routing
from migration.checklist.registry import Finding, check, holds, unknown
from migration.rules.voting import Role

CLOCKS_LIMIT_SECONDS = 2.0
#: an HTTP date has whole seconds: what it says is up to one second old
_DATE_RESOLUTION_SECONDS = 1.0
_UNKNOWN_ROBOT = "precheck-no-such-robot"


@check(
    "legacy",
    "Legacy is reachable",
    Role.BACKEND,
    "Start legacy, or let LEGACY_URL lead to where it answers behind the door.",
)
def legacy() -> Finding:
    """It says that it is healthy, and how many robots it knows."""
    return _healthy(settings.LEGACY_URL)


@check("new", "The new system is reachable", Role.BACKEND, "Start ingest (docs/architecture.md) and look at its log.")
def new() -> Finding:
    """The same question to ingest."""
    return _healthy(f"http://127.0.0.1:{settings.INGEST_PORT}")


def _healthy(base_url: str) -> Finding:
    url = f"{base_url}/health"
    try:
        answer = httpx.get(url, timeout=2.0)
        answer.raise_for_status()
        body = answer.json()
        status, robots = body["status"], int(body["robots"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return holds(False, f"{url}: {error!r}")
    return holds(status == "healthy", f"{status}, {robots:,} robots", robots=robots)


Expected = Callable[[httpx.Response], bool]

#: calls without an effect, what each must answer, as it was recorded from a running legacy
_CONTRACT: dict[str, tuple[int, Expected]] = {
    "/health": (
        200,
        lambda answer: {"status", "timestamp", "deployments", "robots", "discovery"} <= set(answer.json()),
    ),
    "/api/robots": (200, lambda answer: all("last_seen" in row for row in _list(answer))),
    f"/api/robots/{_UNKNOWN_ROBOT}": (404, lambda answer: answer.json() == {"detail": "Robot not found"}),
    "/api/deployments?limit=5": (
        200,
        lambda answer: all(
            {"id", "version", "target_group", "status", "checksum"} <= set(row) for row in _list(answer)
        ),
    ),
    # Refused before it has an effect: that is what makes it safe to ask.
    "/api/check-update": (422, lambda answer: {part["type"] for part in answer.json()["detail"]} == {"missing"}),
    "/api/download/precheck-no-such-deployment": (404, lambda answer: "detail" in answer.json()),
    "/api/discovery/status": (200, lambda answer: {"available", "running", "robots_tracked"} <= set(answer.json())),
}


def _list(answer: httpx.Response) -> list[dict[str, Any]]:
    body = answer.json()
    if not isinstance(body, list):
        raise TypeError("not a list")
    return body


@check(
    "contract",
    "Legacy answers as its contract says",
    Role.QA,
    "Compare the named calls with the recorded exchanges: another version of legacy needs its differences understood "
    "before a robot is moved.",
    fresh_for=timedelta(hours=1),
    every=timedelta(minutes=2),
)
def contract() -> Finding:
    """Every call that has no effect, against what was recorded."""
    wrong = []
    try:
        with httpx.Client(base_url=settings.LEGACY_URL, timeout=5.0) as client:
            for call, (status, is_as_expected) in _CONTRACT.items():
                answer = client.get(call)
                if answer.status_code != status:
                    wrong.append(f"{call} answers {answer.status_code} instead of {status}")
                elif not _fits(is_as_expected, answer):
                    wrong.append(f"{call} answers another shape")
    except httpx.HTTPError as error:
        return unknown(f"legacy does not answer: {error!r}")
    told = f"{len(_CONTRACT) - len(wrong)} of {len(_CONTRACT)} calls as expected"
    return holds(not wrong, "; ".join(wrong) or told, wrong=wrong)


def _fits(is_as_expected: Expected, answer: httpx.Response) -> bool:
    try:
        return is_as_expected(answer)
    except (ValueError, KeyError, TypeError):
        return False


@check(
    "clocks",
    f"Clocks agree within {CLOCKS_LIMIT_SECONDS:g} s",
    Role.INFRASTRUCTURE,
    "Let every machine follow the same time server (chrony or systemd-timesyncd): ages and votes are judged by it.",
)
def clocks() -> Finding:
    """Ours against those of legacy, of `new`, of every proxy and of PostgreSQL."""
    offsets: dict[str, float] = {"PostgreSQL": _database_offset()}
    asked = {"legacy": f"{settings.LEGACY_URL}/health", "new": f"http://127.0.0.1:{settings.INGEST_PORT}/health"}
    asked |= {proxy.name: f"{proxy.admin_url}/ready" for proxy in routing.proxies()}
    silent = []
    for name, url in asked.items():
        try:
            offsets[name] = _http_offset(url)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            silent.append(f"{name} ({error!r})")
    figures = {name: round(offset, 2) for name, offset in offsets.items()}
    far = [f"{name} is {offset:+.1f} s off" for name, offset in offsets.items() if abs(offset) > CLOCKS_LIMIT_SECONDS]
    if far:
        return holds(False, "; ".join(far), **figures)
    if silent:
        return unknown(f"no clock of {', '.join(silent)}", **figures)
    worst = max(offsets, key=lambda name: abs(offsets[name]))
    return holds(True, f"{len(offsets)} clocks, at most {abs(offsets[worst]):.1f} s off ({worst})", **figures)


def _database_offset() -> float:
    """Seconds that the database's clock is ahead of ours."""
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        told = float(cursor.fetchone()[0])
    return told - (before + time.time()) / 2


def _http_offset(url: str) -> float:
    """Seconds that a server's clock is ahead of ours, by its `Date`; 0 as far as its whole seconds can tell."""
    before = datetime.now(UTC)
    answer = httpx.get(url, timeout=2.0)
    after = datetime.now(UTC)
    told = parsedate_to_datetime(answer.headers["date"]).astimezone(UTC)
    earliest = (told - after).total_seconds()
    latest = (told - before).total_seconds() + _DATE_RESOLUTION_SECONDS
    return earliest if earliest > 0 else latest if latest < 0 else 0.0
