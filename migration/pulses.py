"""Saying that a guard makes progress."""

from datetime import datetime
from typing import Any

from migration.clock import system_clock
from migration.models import Pulse


def beat(name: str, detail: dict[str, Any] | None = None, *, at: datetime | None = None) -> None:
    """Record progress of the guard `name`, now or at that moment."""
    Pulse.objects.update_or_create(name=name, defaults={"at": at or system_clock().now(), "detail": detail or {}})
