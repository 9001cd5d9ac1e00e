"""Comparing every row of both systems, through the contract that both speak."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import httpx
import structlog
from django.conf import settings

from migration.clock import system_clock
from migration.models import Comparison
from migration.rules.comparing import Difference, Row, confirmed, differences

log = structlog.get_logger(__name__)

READINGS = 3
#: between two readings of what differed: longer than a copy takes, shorter than the lag that is allowed
PAUSE_SECONDS = 0.6
KEPT = timedelta(days=7)


def compare() -> Comparison:
    """Read all rows from both systems, re-read while any differ, and keep what differed every time."""
    began, at = time.monotonic(), system_clock().now()
    readings: list[Mapping[str, list[Difference]]] = []
    rows = 0
    try:
        with httpx.Client(timeout=5.0) as client:
            while len(readings) < READINGS:
                legacy = read_rows(client, settings.LEGACY_URL)
                new = read_rows(client, f"http://127.0.0.1:{settings.OWN_DOOR_PORT}")
                rows = max(len(legacy), len(new))
                readings.append(_unequal(legacy, new))
                if not readings[-1]:
                    break
                time.sleep(PAUSE_SECONDS)
    except (httpx.HTTPError, ValueError) as error:
        log.warning("comparison.failed", error=str(error))
        return Comparison.objects.create(
            at=at, rows=0, seconds=time.monotonic() - began, failure=str(error) or repr(error)
        )
    found = [asdict(difference) for difference in confirmed(readings)]
    Comparison.objects.filter(at__lt=at - KEPT).delete()
    comparison = Comparison.objects.create(at=at, rows=rows, different=found[:1000], seconds=time.monotonic() - began)
    log.info("comparison.done", rows=rows, different=len(found), readings=len(readings))
    return comparison


def read_rows(client: httpx.Client, base_url: str) -> dict[str, Row]:
    """All rows of one system by their exact id. Rows without an id (made by an update check alone) are numbered."""
    answer = client.get(f"{base_url}/api/robots")
    answer.raise_for_status()
    found: dict[str, Row] = {}
    nameless = 0
    for row in answer.json():
        robot_id: Any = row.get("robot_id")
        if robot_id is None:
            nameless += 1
            robot_id = f"(row {nameless} without an id)"
        found[str(robot_id)] = row
    return found


def _unequal(legacy: Mapping[str, Row], new: Mapping[str, Row]) -> dict[str, list[Difference]]:
    found = {
        robot_id: differences(robot_id, legacy.get(robot_id), new.get(robot_id))
        for robot_id in legacy.keys() | new.keys()
    }
    return {robot_id: different for robot_id, different in found.items() if different}
