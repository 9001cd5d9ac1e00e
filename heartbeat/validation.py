"""Use case: do both systems know the same robots?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from django.conf import settings

from heartbeat.models import LegacyRow, Robot
from heartbeat.rules.identity import key_of

ANSWER_TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Known:
    """What one system knows: rows (exact spellings), and robots (spellings in any case are one)."""

    rows: int
    robots: int


@dataclass(frozen=True, slots=True)
class RobotCount:
    """Both counts; `match` says whether the rows agree, None when legacy could not be asked, and `reason` why."""

    new: Known
    legacy: Known | None
    match: bool | None
    reason: str


def robot_count() -> RobotCount:
    """Count the rows of both systems now; legacy is asked live."""
    new = Known(LegacyRow.objects.count(), Robot.objects.count())
    try:
        answer = httpx.get(f"{settings.LEGACY_URL}/api/robots", timeout=ANSWER_TIMEOUT_SECONDS)
        answer.raise_for_status()
        rows = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return RobotCount(new, None, None, f"legacy could not be asked: {type(error).__name__}")
    if not isinstance(rows, list):
        return RobotCount(new, None, None, "legacy answered something else than a list")
    legacy = Known(len(rows), _robots_in(rows))
    reason = "" if legacy.rows == new.rows else f"legacy has {legacy.rows} rows, new has {new.rows}"
    return RobotCount(new, legacy, legacy.rows == new.rows, reason)


def _robots_in(rows: Sequence[Any]) -> int:
    """Robots among legacy's rows; a row without an id (made by an update check alone) counts as one of its own."""
    ids = [row.get("robot_id") if isinstance(row, dict) else None for row in rows]
    named = {key_of(robot_id) for robot_id in ids if isinstance(robot_id, str)}
    return len(named) + sum(not isinstance(robot_id, str) for robot_id in ids)
