"""Reading what robots said behind two cursors: heartbeats of the log, and signals between them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

#: `received_at` rises in the order of commits (one ingest writes), so nothing appears behind a cursor later
_HEARTBEATS = """
SELECT h.received_at, coalesce(h.at, h.received_at), s.robot_key, s.robot_id, h.call, coalesce(b.boot_id, ''),
    h.rtt_ms, h.next_in_s, h.rest::text, h.services, p.document -> 'services', p.document ->> 'kind',
    p.document ->> 'site', CASE WHEN strpos(h.health::text, '"teleop"') > 0 THEN h.health::text END,
    h.command_age_ms, h.command_rate_hz, h.watchdog_active, h.observers, h.host_up, h.driver,
    h.x_vel, h.y_vel, h.theta_vel
FROM heartbeat_heartbeat h JOIN heartbeat_spelling s ON s.id = h.spelling_id
LEFT JOIN heartbeat_boot b ON b.id = h.boot_id LEFT JOIN heartbeat_profile p ON p.id = h.profile_id
WHERE h.received_at > %s AND h.call <> 'check_update'
ORDER BY h.received_at LIMIT %s
"""
_SIGNALS = """
SELECT id, received_at, robot_key, robot_id, boot_id, document::text FROM teleop_signal
WHERE id > %s ORDER BY id LIMIT %s
"""
_COLUMNS = ("command_age_ms", "command_rate_hz", "watchdog_active", "observers", "host_up", "driver")
#: below this a base rests: m/s and degrees/s
_RESTING = (0.01, 0.01, 1.0)


@dataclass(frozen=True, slots=True)
class Said:
    """What a robot said of its operation. `document`: None for a legacy heartbeat; `service`: active, inactive, ""."""

    robot_key: bytes
    robot_id: str
    received: float
    at: float
    run: str
    document: Mapping[str, Any] | None
    service: str
    kind: str = ""
    site: str = ""
    rtt_ms: float | None = None
    next_in: float | None = None


def read_heartbeats(connection: psycopg.Connection[Any], cursor: datetime, most: int) -> tuple[list[Said], datetime]:
    """The oldest `most` heartbeats behind `cursor` that say something of operation, and the cursor behind them."""
    rows = connection.execute(_HEARTBEATS, [cursor, most]).fetchall()
    found = [said for row in rows if (said := _heartbeat(row)) is not None]
    return found, rows[-1][0] if rows else cursor


def read_signals(connection: psycopg.Connection[Any], cursor: int, most: int) -> tuple[list[Said], int]:
    """The same of signals between heartbeats."""
    rows = connection.execute(_SIGNALS, [cursor, most]).fetchall()
    return [_signal(row) for row in rows], rows[-1][0] if rows else cursor


def _heartbeat(row: Any) -> Said | None:
    received, at, key, robot_id, call, run, rtt_ms, next_in, rest, letters, names, kind, site, health, *more = row
    document: Mapping[str, Any] | None = None
    if call == "status":
        service = _legacy_service(health)
    else:
        service = _v2_service(letters, names)
        document = _document(rest, more)
    if document is None and not service:
        return None
    return Said(
        robot_key=bytes(key),
        robot_id=robot_id,
        received=received.timestamp(),
        at=at.timestamp(),
        run=run,
        document=document,
        service=service,
        kind=kind or "",
        site=site or "",
        rtt_ms=rtt_ms,
        next_in=next_in,
    )


def _signal(row: Any) -> Said:
    _, received, key, robot_id, run, text = row
    at = received.timestamp()
    return Said(bytes(key), robot_id, at, at, run, json.loads(text), "")


def _document(rest: str | None, columns: list[Any]) -> Mapping[str, Any] | None:
    """The teleop document: whole in `rest`, or put together from the columns; None when nothing was said of it."""
    kept = json.loads(rest).get("teleop") if rest and '"teleop"' in rest else None
    document = kept if isinstance(kept, dict) else _told(columns)
    if not document:
        return None
    velocities = columns[len(_COLUMNS) :]
    if "moving" not in document and any(each is not None for each in velocities):
        moving = any(abs(each or 0.0) > least for each, least in zip(velocities, _RESTING, strict=True))
        document = {**document, "moving": moving}
    return document


def _told(columns: list[Any]) -> dict[str, Any]:
    return {name: value for name, value in zip(_COLUMNS, columns, strict=False) if value is not None}


def _v2_service(letters: str | None, names: Any) -> str:
    if not letters or not isinstance(names, list) or "teleop" not in names:
        return ""
    return {"a": "active", "i": "inactive"}.get(letters[names.index("teleop")], "")


def _legacy_service(health: str | None) -> str:
    said = json.loads(health) if health else None
    services = said.get("services") if isinstance(said, dict) else None
    state = services.get("teleop") if isinstance(services, dict) else None
    return state if state in ("active", "inactive") else ""
