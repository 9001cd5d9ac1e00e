"""Giving robots their tokens, as an operator does it. Robots that enrol by themselves go to ingest."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction

from heartbeat.access.errors import HasToken, NotLive
from heartbeat.access.minting import mint
from heartbeat.access.statements import ENTER_TYPES, Entry, entry_of, marked
from heartbeat.models import RobotToken
from heartbeat.models.token import Tokens
from heartbeat.rules.identity import key_of
from heartbeat.rules.tokens import Sort
from heartbeat.telling import tell

_ENTER = marked("heartbeat_enter_robot", ENTER_TYPES)


def tokens_of(robot_id: str) -> Tokens:
    """Every token that a robot, in any spelling of its id, was ever given, newest first."""
    return RobotToken.objects.filter(robot_key=key_of(robot_id)).order_by("-id")


@transaction.atomic
def issue(
    robot_id: str,
    *,
    by: str,
    at: datetime,
    kind: str = "",
    site: str = "",
    tags: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> tuple[RobotToken, str]:
    """Enter the robot, heard or not, and give it a token; returns the row and the token. Raises HasToken."""
    robot = entry_of(robot_id, kind, site, tags)
    _lock(robot.key)
    if tokens_of(robot_id).live(at).exists():
        raise HasToken(robot.robot_id)
    _enter(robot)
    row, token = _give(robot.key, robot.robot_id, by, at, expires_at)
    sentence = f"gave {robot.robot_id} the token {row.prefix}…"
    tell(by, "token.issued", sentence, robot=robot.robot_id, prefix=row.prefix, expires_at=expires_at)
    return row, token


@transaction.atomic
def rotate(token: RobotToken, *, overlap: timedelta, by: str, at: datetime) -> tuple[RobotToken, str]:
    """Give the robot another token; all that it has stay good for `overlap`, not longer. Raises NotLive."""
    _lock(token.robot_key)
    token.refresh_from_db()
    if not token.is_live(at):
        raise NotLive(token.prefix)
    live = list(tokens_of(token.robot_id).live(at))
    # What an expiring token was given to live for, the next one is given again; in an overlap the newest one counts.
    lifetime = live[0].expires_at and live[0].expires_at - live[0].created_at
    for old in live:
        old.expires_at = min(at + overlap, old.expires_at or at + overlap)
        old.save(update_fields=["expires_at"])
    row, secret = _give(token.robot_key, token.robot_id, by, at, at + lifetime if lifetime else None)
    sentence = f"rotated {token.robot_id}'s token {token.prefix}… to {row.prefix}…"
    tell(
        by, "token.rotated", sentence, robot=token.robot_id, prefix=row.prefix, overlap_seconds=overlap.total_seconds()
    )
    return row, secret


@transaction.atomic
def revoke(token: RobotToken, *, by: str, at: datetime) -> RobotToken:
    """Make a token worthless, at once. Safe to call twice."""
    _lock(token.robot_key)
    token.refresh_from_db()
    if token.revoke(by, at):
        token.save(update_fields=["revoked_at", "revoked_by"])
        sentence = f"revoked {token.robot_id}'s token {token.prefix}…"
        tell(by, "token.revoked", sentence, robot=token.robot_id, prefix=token.prefix)
    return token


def _give(
    robot_key: bytes, robot_id: str, by: str, at: datetime, expires_at: datetime | None
) -> tuple[RobotToken, str]:
    token, digest, prefix = mint(Sort.ROBOT)
    row = RobotToken.objects.create(
        robot_key=robot_key,
        robot_id=robot_id,
        digest=digest,
        prefix=prefix,
        created_at=at,
        created_by=by,
        expires_at=expires_at,
    )
    return row, token


def _lock(robot_key: bytes) -> None:
    """Wait for whoever else gives or takes this robot's tokens."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT heartbeat_lock_tokens_of(%s)", [bytes(robot_key)])


def _enter(robot: Entry) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_ENTER, robot)
