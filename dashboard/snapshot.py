"""What the page knows at one moment: the migration and the fleet, read once for everybody who watches."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from dashboard.fleet import Fleet, fleet
from migration.status import status


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The figures of one moment. `status` is the mapping of `migration.status.status`."""

    at: datetime
    status: dict[str, Any]
    fleet: Fleet


def take() -> Snapshot:
    """Read everything now. Raises what the database raises."""
    now = timezone.now()
    return Snapshot(at=now, status=status(now), fleet=fleet(now))
