"""What the legacy server knows: robots' rows in memory, deployments in memory and in one JSON file."""

import json
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

Row = dict[str, Any]

UNITS = (("hour", timedelta(hours=1)), ("day", timedelta(days=1)), ("minute", timedelta(minutes=1)))


def local_now() -> datetime:
    """The legacy server's clock: naive, in the server's own zone."""
    return datetime.now()


class BadTimeAgoError(ValueError):
    """`time_ago` is not of the form `2-hours-ago`."""


@dataclass(slots=True)
class LegacyState:
    """Everything the process holds. `file` is the only thing that outlives it."""

    file: Path | None = None
    robots: dict[str, Row] = field(default_factory=dict)
    deployments: dict[str, Row] = field(default_factory=dict)
    now: Callable[[], datetime] = local_now

    def heard(self, robot_id: str, row: Row) -> None:
        """Replace the robot's whole row by a heartbeat's body plus `last_seen`."""
        row["last_seen"] = self.now().isoformat()
        self.robots[robot_id] = row

    def asked_for_update(self, robot_id: str, current_version: str, group: str) -> Row | None:
        """Note the sign of life and return the deployment to offer, if it differs from what the robot runs."""
        row = self.robots.setdefault(robot_id, {})
        row["last_seen"] = self.now().isoformat()
        row["current_version"] = current_version
        row["group"] = group
        fitting = (
            d for d in self.deployments.values() if d["status"] == "ready" and d["target_group"] in ("all", group)
        )
        latest = max(fitting, key=lambda deployment: deployment["timestamp"], default=None)
        return latest if latest is not None and latest["version"] != current_version else None

    def newest_first(self, group: str | None, limit: int) -> list[Row]:
        """Deployments by their timestamp; a negative `limit` drops that many from the end, as a slice does."""
        wanted = [d for d in self.deployments.values() if not group or d.get("target_group") == group]
        wanted.sort(key=lambda deployment: deployment.get("timestamp", ""), reverse=True)
        return wanted[:limit]

    def latest_id(self) -> str | None:
        """The id of the newest deployment, whatever its status."""
        newest = max(self.deployments.values(), key=lambda deployment: deployment["timestamp"], default=None)
        return None if newest is None else newest["id"]

    def find(self, deployment_id: str | None, version: str | None, time_ago: str | None) -> Row | None:
        """The deployment that a rollback asks for; the first of the three that is given decides.

        Raises `BadTimeAgoError` when `time_ago` cannot be read.
        """
        if deployment_id:
            return self.deployments.get(deployment_id)
        if version:
            return next((d for d in self.deployments.values() if d["version"] == version), None)
        if time_ago:
            return self._deployed_before(time_ago)
        return None

    def roll_back_to(self, target: Row) -> Row:
        """Offer `target` again as a new deployment: new id, old version, the target's package."""
        entry = {
            **target,
            "id": f"dep_{uuid.uuid4().hex[:12]}",
            "timestamp": self.now().isoformat(),
            "is_rollback": True,
            "rollback_from": self.latest_id(),
            "message": f"Rollback to {target['version']} ({target['id']})",
        }
        self.deployments[entry["id"]] = entry
        self.save()
        return entry

    def replace(self, deployments: Iterable[Row], robots: Mapping[str, Row]) -> None:
        """Forget everything and hold exactly this (for tests and for the demo's start)."""
        self.robots = {key: dict(row) for key, row in robots.items()}
        self.deployments = {row["id"]: dict(row) for row in deployments}
        self.save()

    def load(self) -> None:
        """Read the deployments file: an object by id, or a list of rows."""
        if self.file is None:
            return
        stored = json.loads(self.file.read_text())
        rows = stored.values() if isinstance(stored, dict) else stored
        self.deployments = {row["id"]: row for row in rows}

    def save(self) -> None:
        """Write the deployments file in one step; a reader never sees half of it."""
        if self.file is None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        draft = self.file.with_name(self.file.name + ".draft")
        draft.write_text(json.dumps(self.deployments, indent=2))
        os.replace(draft, self.file)

    def _deployed_before(self, time_ago: str) -> Row | None:
        try:
            amount, unit = time_ago.replace("-ago", "").split("-")[:2]
            # An unknown unit means "now": the running installation never refused one.
            step = next((length for word, length in UNITS if word in unit), timedelta())
            moment = self.now() - int(amount) * step
            by_age = sorted(self.deployments.values(), key=lambda deployment: deployment["timestamp"], reverse=True)
            return next((d for d in by_age if datetime.fromisoformat(d["timestamp"]) <= moment), None)
        except (ValueError, TypeError, OverflowError, KeyError) as error:
            raise BadTimeAgoError(time_ago) from error
