"""What the overview knows at one moment: the migration, and the fleet in numbers; read once for all who watch."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from dashboard.tracking import tracker
from migration.status import status


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The figures of one moment. `status` is the mapping of `migration.status.status`, `fleet` a fleet's summary."""

    at: datetime
    status: dict[str, Any]
    fleet: dict[str, Any]


def take() -> Snapshot:
    """Read everything now. Raises what the database raises."""
    now = timezone.now()
    return Snapshot(at=now, status=status(now), fleet=tracker.look(now).summary)
