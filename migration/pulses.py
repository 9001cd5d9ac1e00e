"""Saying that a guard makes progress."""

from typing import Any

from migration.clock import system_clock
from migration.models import Pulse


def beat(name: str, detail: dict[str, Any] | None = None) -> None:
    """Record progress of the guard `name` now."""
    Pulse.objects.update_or_create(name=name, defaults={"at": system_clock().now(), "detail": detail or {}})
