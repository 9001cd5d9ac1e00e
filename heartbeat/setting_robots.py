"""Use case: what operators set of robots, one at a time or many, also of robots that were never heard."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import connection, transaction

from heartbeat.models import Robot
from heartbeat.rules.identity import bucket_of, displayable, key_of
from heartbeat.rules.kind import kind_from_word
from heartbeat.telling import tell

log = structlog.get_logger(__name__)

#: name → type in PostgreSQL
SETTINGS = {"site": "text", "tags": "text[]", "expected_interval_seconds": "float8", "grace_seconds": "float8"}
#: what else keeps its former value when it is not given
_DEFAULTS = {"site": "", "tags": [], "expected_interval_seconds": None, "grace_seconds": None}


class ChangedMeanwhile(Exception):
    """Somebody else set something of the robot after the caller looked."""


@dataclass(frozen=True, slots=True)
class Entered:
    """How many robots were made and how many were there already."""

    created: int
    updated: int


def settings_of(robot: Robot) -> dict[str, Any]:
    """What operators set of `robot`; `site` is not in it, as a robot may say that itself."""
    return {name: getattr(robot, name) for name in ("tags", "expected_interval_seconds", "grace_seconds")}


def change(robot: Robot, changes: Mapping[str, Any], *, actor: str) -> None:
    """Set `changes` of a robot, if its settings are still those that `robot` was read with, else ChangedMeanwhile."""
    before = settings_of(robot)
    if all(before[name] == value for name, value in changes.items()):
        return
    with transaction.atomic():
        # No lock is held between reading and writing: heartbeats move the same row all the time.
        unchanged = {
            f"{name}__isnull" if value is None else name: value is None or value for name, value in before.items()
        }
        if not Robot.objects.filter(key=robot.key, **unchanged).update(**changes):
            raise ChangedMeanwhile(robot.robot_id)
        tell(actor, "set_robot", f"changed the settings of {robot.robot_id}", before=before, changes=dict(changes))
    log.info("robot.set", robot=robot.robot_id, by=actor, **changes)


# In the order of the keys, as ingest writes: neither can wait for the other in a circle.
_LOCK = "SELECT 1 FROM heartbeat_robot WHERE key = ANY(%s) ORDER BY key FOR UPDATE"
_ENTER = """
INSERT INTO heartbeat_robot AS r (key, robot_id, bucket, kind_by_id, enrolled_at, {columns})
SELECT decode(key, 'hex'), robot_id, bucket, kind_by_id, %(now)s, {columns}
FROM jsonb_to_recordset(%(rows)s::jsonb)
    AS given(key text, robot_id text, bucket int2, kind_by_id text, {typed})
ORDER BY decode(key, 'hex')
ON CONFLICT (key) DO UPDATE SET {updates}
RETURNING r.xmax = 0
"""


def enter(rows: Sequence[Mapping[str, Any]], *, actor: str, now: datetime) -> Entered:
    """Set what each row names (`id`, and some of SETTINGS) of its robot, all of them or none.

    A robot that is not known yet is entered, and is then listed as never heard. Two rows must not mean one robot.
    """
    if not rows:
        return Entered(0, 0)
    groups: dict[frozenset[str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(frozenset(row), []).append(row)
    with transaction.atomic():
        with connection.cursor() as cursor:
            if len(groups) > 1:
                cursor.execute(_LOCK, [[key_of(row["id"]) for row in rows]])
            made = [fresh for names, group in groups.items() for fresh in _entered(cursor, names, group, now)]
        entered = Entered(sum(made), len(made) - sum(made))
        told = {"created": entered.created, "updated": entered.updated}
        settings = sorted(frozenset().union(*groups) - {"id"})
        tell(
            actor,
            "enter_robots",
            f"entered {len(rows)} robot{'s' if len(rows) > 1 else ''}",
            **told,
            set=settings,
            robots=[r["id"] for r in rows],
        )
    log.info("robots.entered", by=actor, **told)
    return entered


def _entered(cursor: Any, names: Collection[str], rows: Sequence[Mapping[str, Any]], now: datetime) -> list[bool]:
    """Write rows that name the same settings: for each whether it was new."""
    cursor.execute(_statement(names), {"now": now, "rows": json.dumps([_given(row) for row in rows])})
    return [fresh for (fresh,) in cursor.fetchall()]


def _statement(names: Collection[str]) -> str:
    updates = [f"{name} = excluded.{name}" for name in SETTINGS if name in names] or ["key = r.key"]
    return _ENTER.format(
        columns=", ".join(SETTINGS),
        typed=", ".join(f"{name} {kind}" for name, kind in SETTINGS.items()),
        updates=", ".join(updates),
    )


def _given(row: Mapping[str, Any]) -> dict[str, Any]:
    robot_id = row["id"]
    return {
        "key": key_of(robot_id).hex(),
        "robot_id": displayable(robot_id),
        "bucket": bucket_of(robot_id),
        "kind_by_id": kind_from_word(robot_id),
        **{name: row.get(name, usual) for name, usual in _DEFAULTS.items()},
    }
