"""Making one system hold what the other does, in the words that it has for it."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
from django.conf import settings
from django.db import connection

from heartbeat.deployments import keep_deployment
from heartbeat.ingest.beat import LegacyBeat, check_beat, health_text, status_beat
from heartbeat.ingest.careful import CarefulWriter
from heartbeat.ingest.marks import SHADOW, Marks
from heartbeat.rules.identity import row_key_of
from heartbeat.rules.liveness import offline_after_seconds
from heartbeat.rules.rows import CHECK_FIELDS, OFFLINE_MARK, STATUS_FIELDS
from migration.errors import Refused
from migration.models import Replayed
from migration.rules.comparing import LAST_SEEN_BOUND_SECONDS, Row

TIMEOUT_SECONDS = 5.0


def new_takes_row(legacy: Row, new: Row | None) -> None:
    """Enter legacy's row into the log of heartbeats at the time legacy has it, so that a rebuild keeps it too.

    `new` is the row it replaces. Raises `Refused` for what a heartbeat cannot say, and when `new` heard it later.
    """
    robot_id = legacy.get("robot_id")
    if not isinstance(robot_id, str):
        raise Refused("legacy does not say whose row it is: one without an id cannot be taken over")
    at = _aware(legacy.get("last_seen"))
    if new is not None:
        later = (_aware(new.get("last_seen")) - at).total_seconds()
        if later > LAST_SEEN_BOUND_SECONDS:
            raise Refused(f"new heard the robot {later:.1f} s later than legacy: its row is the newer one")
        # Both heard the same call, each at its own moment: what replaces a row must not be older than it.
        at = max(at, at + timedelta(seconds=later, microseconds=1))
    beats: list[LegacyBeat] = []
    if "status" in legacy:
        beats.append(_status_beat(robot_id, legacy, at))
    if all(isinstance(legacy.get(name), str) for name in CHECK_FIELDS):
        marks = _marks(f"reconciled check {robot_id} {at.isoformat()}")
        beats.append(_stamped(check_beat(robot_id, legacy["current_version"], legacy["group"], marks), at, len(beats)))
    if not beats:
        raise Refused("legacy's row says nothing that a heartbeat could")
    asyncio.run(_write(beats))


def legacy_takes_row(new: Row, *, now: datetime) -> None:
    """Tell legacy the robot's newest state, in a heartbeat, and remember that it was told: its row is an echo then.

    Raises `Refused` for a silent robot: legacy stamps what it hears with now, so the robot would look alive.
    """
    at = _aware(new.get("last_seen"))
    silent = (now - at).total_seconds()
    limit = offline_after_seconds(settings.ROBOT_INTERVAL_SECONDS)
    if silent > limit:
        raise Refused(
            f"the robot has been silent for {silent:.0f} s: legacy would stamp its row with now, as if it were alive"
        )
    body = {name: new.get(name) for name in STATUS_FIELDS}
    if not isinstance(body["robot_id"], str) or not isinstance(body["status"], str):
        raise Refused("it never sent a heartbeat, so there is nothing that legacy could be told")
    sent_at = datetime.now(UTC)
    try:
        answer = httpx.post(f"{settings.LEGACY_URL}/api/robot/status", json=body, timeout=TIMEOUT_SECONDS)
    except httpx.HTTPError as error:
        raise Refused(f"legacy could not be told: {error or type(error).__name__}") from error
    if answer.status_code != httpx.codes.OK:
        raise Refused(f"legacy answered {answer.status_code}")
    told = {"robot_id": body["robot_id"], "at": at, "sent_at": sent_at, "acknowledged_at": datetime.now(UTC)}
    Replayed.objects.update_or_create(key=row_key_of(body["robot_id"]), defaults={**told, "body": body})


def new_takes_deployment(legacy: Row) -> None:
    """Store a deployment as legacy lists it, with its package."""
    try:
        answer = httpx.get(f"{settings.LEGACY_URL}/api/download/{legacy['id']}", timeout=TIMEOUT_SECONDS)
    except httpx.HTTPError as error:
        raise Refused(f"legacy could not be asked for the package: {error or type(error).__name__}") from error
    keep_deployment(legacy, answer.content if answer.status_code == httpx.codes.OK else None)


def _status_beat(robot_id: str, legacy: Mapping[str, Any], at: datetime) -> LegacyBeat:
    health = legacy.get("health")
    if health == OFFLINE_MARK:
        health = None  # legacy overwrote what the robot said; nobody knows it any more
    if health is not None and not isinstance(health, dict):
        raise Refused("its health is nothing that a robot could have sent")
    said = {name: legacy.get(name) for name in STATUS_FIELDS if name != "health"}
    if not all(value is None or isinstance(value, str) for value in said.values()):
        raise Refused("one of its fields is nothing that a robot could have sent")
    marks = _marks(f"reconciled status {robot_id} {at.isoformat()}")
    return _stamped(status_beat(said, health_text(health, robot_id), marks, 0), at, 0)


def _marks(request_id: str) -> Marks:
    """It counts as heard by the way, never as a heartbeat that `new` acknowledged as its owner."""
    return Marks(SHADOW, "legacy", request_id.encode("utf-8", "replace"), "")


def _stamped(beat: LegacyBeat, at: datetime, place: int) -> LegacyBeat:
    # Two rows of the log never have the same time; the check comes after the heartbeat, as in legacy's row.
    beat.received_at = beat.at = at + timedelta(microseconds=place)
    return beat


def _aware(last_seen: Any) -> datetime:
    try:
        return datetime.fromisoformat(last_seen).astimezone()
    except (TypeError, ValueError) as error:
        raise Refused(f"its last_seen is no time: {last_seen!r}") from error


async def _write(beats: list[LegacyBeat]) -> None:
    given = connection.get_connection_params()
    database = await asyncpg.connect(
        host=given.get("host") or None,
        port=given.get("port") or None,
        user=given.get("user") or None,
        password=given.get("password") or None,
        database=given.get("dbname"),
        timeout=TIMEOUT_SECONDS,
    )
    try:
        await CarefulWriter(database).write(beats)
    finally:
        await database.close()
