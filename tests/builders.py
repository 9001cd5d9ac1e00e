"""Builders with sensible defaults; a test names only what it is about."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, Permission, User

from heartbeat.models import Robot
from heartbeat.rules.identity import bucket_of, key_of
from migration.management.commands.demo_users import APPS, PERMISSIONS
from migration.models import Backup, PhaseRun, SyncState, TrafficSample
from migration.models.sync_state import THE_SYNC
from migration.rules.voting import Role
from migration.traffic import nothing

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def person(role: Role | None = Role.BACKEND, name: str = "") -> User:
    """Somebody with a role and its permissions; without a role a viewer."""
    user = User.objects.create_user(username=name or (role.value if role else "viewer"), password="secret-enough")
    if role:
        group, _ = Group.objects.get_or_create(name=role.value)
        group.permissions.set(
            Permission.objects.filter(content_type__app_label__in=APPS, codename__in=PERMISSIONS[role])
        )
        user.groups.add(group)
    return user


def phase_run(slug: str = "canary_10", *, build: str = "dev", started_at: datetime | None = None) -> PhaseRun:
    """An active stay in a phase."""
    at = started_at or datetime.now(UTC)
    return PhaseRun.objects.create(slug=slug, build=build, started_at=at, evidence_from=at)


def sample(at: datetime, **counts: Any) -> TrafficSample:
    """A sample with these totals; parts as new_owner=(requests, errors), counts with their dots as underscores."""
    totals = nothing()
    for name, value in counts.items():
        if isinstance(value, tuple):
            requests, errors = value
            buckets = {"100": requests, "inf": requests}
            totals[name.replace("_", ".")] = {"requests": requests, "errors": errors, "buckets": buckets}
        else:
            totals[name] = value
    return TrafficSample.objects.create(at=at, totals=totals, raw={})


def seconds(number: float) -> timedelta:
    """For readable times."""
    return timedelta(seconds=number)


def heard_robot(robot_id: str = "Lekiwi_1", **changes: Any) -> Robot:
    """A robot that was heard just now."""
    at = datetime.now(UTC)
    given = {"first_seen_at": at, "last_seen_at": at, "last_status_at": at, "status": "idle", "protocol": "v2"}
    given |= {"last_role": "owner", "last_side": "new", "bucket": bucket_of(robot_id), "kind_by_id": "lekiwi"}
    return Robot.objects.create(key=key_of(robot_id), robot_id=robot_id, **{**given, **changes})


def synced(at: datetime | None = None, **changes: Any) -> SyncState:
    """Sync looked at legacy just now, and nothing is owed either way."""
    at = at or datetime.now(UTC)
    given = {"legacy_read_at": at, "looked_back_at": at, "at": at, **changes}
    state, _ = SyncState.objects.update_or_create(pk=THE_SYNC, defaults=given)
    return state


def verified_backup(directory: Path, begun_at: datetime | None = None, **changes: Any) -> Backup:
    """A backup that was restored and compared; its file is an empty one in `directory`."""
    at = begun_at or datetime.now(UTC)
    file = directory / f"database-{at:%Y%m%dT%H%M%S%f}.dump"
    file.touch()
    given = {"kind": "database", "state": "verified", "reason": "by hand", "asked_by": "lead", "path": str(file)}
    given |= {"begun_at": at, "made_at": at, "verified_at": at, "sha256": "0" * 64}
    return Backup.objects.create(**{**given, **changes})
