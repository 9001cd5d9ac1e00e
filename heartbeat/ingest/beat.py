"""One call of a robot, as it goes into the log."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
import structlog

from heartbeat.ingest.marks import Marks
from heartbeat.rules.identity import bucket_of, displayable, key_of, row_key_of
from heartbeat.rules.json_text import json_text
from heartbeat.rules.kind import kind_from_word

log = structlog.get_logger(__name__)

#: what a beat costs in the queue beside its body, bytes
OVERHEAD_BYTES = 1_000


@dataclass(slots=True, frozen=True)
class Identity:
    """What follows from an id alone."""

    robot_id: str
    robot_key: bytes
    row_key: bytes
    shown: str
    bucket: int | None
    kind: str
    #: the keys as SQL gets them
    robot_hex: str
    row_hex: str


class Beat(msgspec.Struct, gc=False):
    """What every call has. A Struct, because one is made for each: a tenth of what a dataclass costs.

    JSON columns hold JSON text. `received_at` is stamped by the recorder, `at` follows from it.
    """

    who: Identity
    robot_key: bytes
    row_key: bytes
    role: str
    side: str
    address: str
    request_id: uuid.UUID | None
    call: str
    size: int = OVERHEAD_BYTES
    received_at: datetime | None = None
    at: datetime | None = None


class LegacyBeat(Beat, gc=False):
    """A legacy heartbeat or an update check."""

    status: str | None = None
    message: str | None = None
    health: str | None = None
    deployment_id: str | None = None
    version: str | None = None
    current_version: str | None = None
    group: str | None = None
    exact: str | None = None
    kind_by_group: str = ""


class V2Beat(Beat, gc=False):
    """A v2 heartbeat. `told` holds the columns that are known when it arrives, in the order of `columns.V2_TOLD`.

    `words` are those of `columns.V2_WORDS` after role and side: what many robots say.

    Numbers of motors and cameras of a whole batch are sent as one array: each beat has its share, as text, because
    their objects would be all over the memory when their turn comes.
    """

    words: tuple[Any, ...] = ()
    told: tuple[Any, ...] = ()
    boot_name: str | None = None
    sequence: int | None = None
    sent_at: datetime | None = None
    profile: Any = None
    motors: str = ""
    motors_count: int = 0
    cameras: str = ""
    cameras_count: int = 0
    boot_id: int | None = None
    profile_id: int | None = None
    clock_offset_seconds: float | None = None


@lru_cache(maxsize=32_768)
def identity_of(robot_id: str) -> Identity:
    """The identity of an id; robots come back, so it is remembered."""
    robot_key, row_key = key_of(robot_id), row_key_of(robot_id)
    return Identity(
        robot_id=robot_id,
        robot_key=robot_key,
        row_key=row_key,
        shown=displayable(robot_id),
        bucket=bucket_of(robot_id),
        kind=kind_from_word(robot_id),
        robot_hex=robot_key.hex(),
        row_hex=row_key.hex(),
    )


def who_is(robot_id: str) -> Identity:
    """The identity of any id. One of megabytes is legal in legacy's contract; it must not live on in memory."""
    return identity_of(robot_id) if len(robot_id) <= 256 else identity_of.__wrapped__(robot_id)


def legacy_beat(robot_id: str, marks: Marks, *, call: str, size: int = 0, **columns: Any) -> LegacyBeat:
    """A call of `robot_id` under the door's `marks`; `columns` as in LegacyBeat."""
    who = who_is(robot_id)
    return LegacyBeat(
        who=who,
        robot_key=who.robot_key,
        row_key=who.row_key,
        request_id=marks.request_id,
        role=marks.role,
        side=marks.side,
        address=marks.address,
        call=call,
        size=OVERHEAD_BYTES + size,
        **columns,
    )


def status_beat(said: Mapping[str, str | None], health: str | None, marks: Marks, size: int) -> LegacyBeat:
    """A legacy heartbeat: the body's five texts, its `health` as JSON text, and the body's size in bytes."""
    texts, exact = _texts({name: value for name, value in said.items() if name != "robot_id"}, said["robot_id"] or "")
    return legacy_beat(said["robot_id"] or "", marks, call="status", size=size, health=health, exact=exact, **texts)


def check_beat(robot_id: str, current_version: str, group: str, marks: Marks) -> LegacyBeat:
    """An update check."""
    texts, exact = _texts({"current_version": current_version, "group": group}, robot_id)
    size = len(robot_id) + len(current_version) + len(group)
    kind = kind_from_word(group)
    return legacy_beat(robot_id, marks, call="check_update", size=size, exact=exact, kind_by_group=kind, **texts)


def health_text(health: Mapping[str, Any] | None, robot_id: str) -> str | None:
    """The JSON text of a body's health. A NaN becomes null, and the log says so: legacy would answer reads with 500."""
    if health is None:
        return None
    text, changed = json_text(health)
    if changed:
        log.warning("heartbeat.not_a_number", robot=displayable(robot_id)[:128], stored_as="null")
    return text


def _texts(said: Mapping[str, str | None], robot_id: str) -> tuple[dict[str, str | None], str | None]:
    """The texts as columns can hold them, and as JSON text those that had to change (None when there are none)."""
    shown = {name: value if value is None else displayable(value) for name, value in said.items()}
    exact: dict[str, Any] = {name: value for name, value in said.items() if value != shown[name]}
    if displayable(robot_id) != robot_id:
        exact["robot_id"] = robot_id
    return shown, json_text(exact)[0] if exact else None
