"""Rows of both legacy contracts in one form, and why a row cannot be brought into it (LEGACY.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from heartbeat.rules.rows import CHECK_FIELDS, OFFLINE_MARK, STATUS_FIELDS

#: legacy's clock may run a little ahead of ours
TOLERATED_FUTURE = timedelta(seconds=5)
#: the older contract's words in those that robots use
OLDER_STATUSES: Mapping[str, str] = {
    "running": "online",
    "stopped": "offline",
    "updating": "deploying",
    "failed": "error",
    "unknown": "offline",
}
_SAID = tuple(name for name in STATUS_FIELDS if name not in ("robot_id", "health"))


class Unmappable(ValueError):
    """A row that cannot be taken over as it is; the text is the reason that an operator reads."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row of legacy's. `at` is its `last_seen`; `said` a heartbeat's fields, `asked` an update check's.

    `health_is_known` is false where legacy wrote its mark over it: what the robot said then stays as it was.
    """

    robot_id: str
    at: datetime
    said: Mapping[str, Any] | None
    asked: Mapping[str, Any] | None
    health_is_known: bool = True
    kind_word: str = ""
    address: str = ""
    teleoperated: bool | None = None


def map_row(row: object, now: datetime, zone: tzinfo | None = None) -> SourceRow:
    """A row of `GET /api/robots`. `zone` is legacy's, None this machine's. Raises `Unmappable`."""
    fields = _object(row)
    at = moment(fields.get("last_seen"), now, zone)
    asked = {name: _text(fields, name) for name in CHECK_FIELDS} if "current_version" in fields else None
    robot_id = fields.get("robot_id")
    if robot_id is None:
        raise Unmappable("no robot_id: made by an update check alone, which legacy does not name")
    if not isinstance(robot_id, str):
        raise Unmappable(f"robot_id is {type(robot_id).__name__}, not text")
    said: dict[str, Any] = {name: _text(fields, name) for name in _SAID}
    if said["status"] is None:
        raise Unmappable("no status")
    health = fields.get("health")
    if health is not None and health != OFFLINE_MARK and not isinstance(health, Mapping):
        raise Unmappable(f"health is {type(health).__name__}, neither an object nor null")
    said["health"] = None if health == OFFLINE_MARK else health
    return SourceRow(robot_id, at, said, asked, health_is_known=health != OFFLINE_MARK)


def map_older_row(
    row: object, now: datetime, matches: Mapping[str, str] | None = None, zone: tzinfo | None = None
) -> SourceRow:
    """A row of the older `GET /robots`, whose id falls back to the address. `matches`: address → robot id.

    Raises `Unmappable`.
    """
    fields = _object(row)
    address = fields.get("ip_address")
    robot_id = fields.get("id")
    if robot_id is None or robot_id == address:
        robot_id = (matches or {}).get(str(address))
        if robot_id is None:
            raise Unmappable(f"no id, only the address {address}, which is matched with no robot")
    if not isinstance(robot_id, str):
        raise Unmappable(f"id is {type(robot_id).__name__}, not text")
    word = str(fields.get("status"))
    if word not in OLDER_STATUSES:
        raise Unmappable(f"status {word[:40]!r} is not one of {', '.join(OLDER_STATUSES)}")
    said = {"status": OLDER_STATUSES[word], "version": _text(fields, "version")}
    said |= {"deployment_id": None, "message": None, "health": None}
    teleoperated = fields.get("teleoperation")
    return SourceRow(
        robot_id,
        moment(fields.get("last_seen"), now, zone),
        said,
        None,
        # The older contract tells nothing of services: what the robot said itself stays.
        health_is_known=False,
        kind_word=" ".join(str(fields.get(name) or "") for name in ("type", "hostname")).strip(),
        address=str(address or ""),
        teleoperated=teleoperated if isinstance(teleoperated, bool) else None,
    )


def moment(text: object, now: datetime, zone: tzinfo | None = None) -> datetime:
    """Legacy's `last_seen` in UTC. Raises `Unmappable` for one that cannot be read or proves nothing yet."""
    if not isinstance(text, str):
        raise Unmappable("no last_seen: when it was so cannot be told")
    try:
        read = datetime.fromisoformat(text)
        local = read.replace(tzinfo=zone) if zone and read.tzinfo is None else read
        at = local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unmappable(f"last_seen {text[:40]!r} is no time") from None
    if at > now + TOLERATED_FUTURE:
        # It would keep a robot alive that may be dead. When the time has come the row is taken over.
        raise Unmappable(f"last_seen lies {(at - now).total_seconds():,.0f} s in the future")
    return at


def _object(row: object) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise Unmappable(f"{type(row).__name__} instead of an object")
    return row


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise Unmappable(f"{name} is {type(value).__name__}, not text")
    return value
