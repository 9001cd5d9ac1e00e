"""Which deployment a robot is offered, and which one a rollback goes back to: legacy's rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

#: a deployment as legacy lists it
Document = Mapping[str, Any]

_UNITS = (("hour", timedelta(hours=1)), ("day", timedelta(days=1)), ("minute", timedelta(minutes=1)))


def latest(documents: Sequence[Document]) -> Document | None:
    """The newest by its timestamp, compared as text; of equals the one legacy learned of first."""
    return max(documents, key=_timestamp, default=None)


def newest_first(documents: Sequence[Document]) -> list[Document]:
    """Ordered as `GET /api/deployments` is."""
    return sorted(documents, key=_timestamp, reverse=True)


def offered(documents: Sequence[Document], group: str) -> Document | None:
    """The latest ready deployment for everybody or for `group`."""
    return latest([one for one in documents if one["status"] == "ready" and one["target_group"] in ("all", group)])


def update_answer(documents: Sequence[Document], group: str, current_version: str) -> dict[str, Any]:
    """What `GET /api/check-update` answers."""
    deployment = offered(documents, group)
    if deployment is None or deployment["version"] == current_version:
        return {"update_available": False}
    return {
        "update_available": True,
        "deployment_id": deployment["id"],
        "version": deployment["version"],
        "download_url": f"/api/download/{deployment['id']}",
        "checksum": deployment.get("checksum"),
        "package_size": deployment.get("package_size", 0),
        "auto_rollback": deployment.get("auto_rollback", True),
    }


class UnreadableTime(ValueError):
    """A `time_ago` that legacy cannot read either."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a rollback asks for; the first that is given counts, an empty text counts as not given."""

    deployment_id: str | None = None
    version: str | None = None
    time_ago: str | None = None


def rollback_target(documents: Sequence[Document], wish: Wish, now: datetime) -> Document | None:
    """The deployment a rollback goes back to; `documents` in the order legacy learned of them, `now` naive local.

    A version means the first that legacy learned of. A time means the newest that is not younger.
    Raises UnreadableTime.
    """
    if wish.deployment_id:
        return next((one for one in documents if one["id"] == wish.deployment_id), None)
    if wish.version:
        return next((one for one in documents if one["version"] == wish.version), None)
    if not wish.time_ago:
        return None
    try:
        moment = now - _span(wish.time_ago)
        return next(
            (one for one in newest_first(documents) if datetime.fromisoformat(one["timestamp"]) <= moment), None
        )
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise UnreadableTime(wish.time_ago) from error


def rolled_back(target: Document, newest: Document, new_id: str, now: datetime) -> dict[str, Any]:
    """The new deployment that a rollback makes: the target under a new id and time."""
    return {
        **target,
        "id": new_id,
        "timestamp": now.isoformat(),
        "is_rollback": True,
        "rollback_from": newest["id"],
        "message": f"Rollback to {target['version']} ({target['id']})",
    }


def _span(time_ago: str) -> timedelta:
    """`2-hours-ago` → two hours. A unit that legacy does not know is no time at all, as there."""
    parts = time_ago.replace("-ago", "").split("-")
    amount, unit = int(parts[0]), parts[1]
    return next((span for name, span in _UNITS if name in unit), timedelta()) * amount


def _timestamp(document: Document) -> str:
    return str(document["timestamp"])
