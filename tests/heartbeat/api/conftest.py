"""A fleet to ask about, and people who ask."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from heartbeat.models import Heartbeat, LegacyRow, Robot, Spelling
from heartbeat.rules.identity import bucket_of, key_of, row_key_of


def robot(robot_id: str = "Lekiwi_5A3F", *, silent_seconds: float = 0, **fields: Any) -> Robot:
    """A robot that was last heard `silent_seconds` ago."""
    seen = datetime.now(UTC) - timedelta(seconds=silent_seconds)
    usual = {
        "bucket": bucket_of(robot_id),
        "first_seen_at": seen,
        "last_seen_at": seen,
        "last_status_at": seen,
        "status": "idle",
        "version": "v1.2.0",
        "protocol": "legacy",
        "last_side": "new",
        "last_role": "owner",
        "kind_by_id": "lekiwi",
    }
    return Robot.objects.create(key=key_of(robot_id), robot_id=robot_id, **{**usual, **fields})


def enrolled(robot_id: str, **fields: Any) -> Robot:
    """A robot that was entered and never heard."""
    usual = {"bucket": bucket_of(robot_id), "kind_by_id": "lekiwi", "enrolled_at": datetime.now(UTC)}
    return Robot.objects.create(key=key_of(robot_id), robot_id=robot_id, **{**usual, **fields})


def row(robot_id: str) -> LegacyRow:
    now = datetime.now(UTC)
    return LegacyRow.objects.create(key=row_key_of(robot_id), robot_id=robot_id, first_at=now, status_at=now)


def spelling(of: Robot) -> Spelling:
    found, _ = Spelling.objects.get_or_create(
        key=row_key_of(of.robot_id),
        defaults={"robot_key": of.key, "robot_id": of.robot_id, "first_at": of.first_seen_at},
    )
    return found


def beat(of: Robot, number: int, **fields: Any) -> Heartbeat:
    """The `number`th heartbeat of a robot, a second after the one before."""
    usual = {
        "request_id": uuid.uuid5(uuid.NAMESPACE_OID, f"{of.robot_id} {number}"),
        "spelling": spelling(of),
        "received_at": of.first_seen_at + timedelta(seconds=number),
        "call": "status",
        "role": "owner",
        "status": f"s{number}",
    }
    return Heartbeat.objects.create(**{**usual, **fields})


@pytest.fixture
def reader(client: Client) -> Client:
    """Somebody who is logged in and may change nothing."""
    client.force_login(User.objects.create_user("reader"))
    return client


@pytest.fixture
def operator() -> Client:
    """Somebody who may set what operators set of robots."""
    user = User.objects.create_user("operator")
    user.user_permissions.add(Permission.objects.get(codename="change_robot"))
    client = Client()
    client.force_login(user)
    return client
