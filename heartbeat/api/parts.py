"""What other apps add to a robot in the API. Registered in their `AppConfig.ready()`."""

from collections.abc import Callable
from typing import Any

from heartbeat.models import Robot

#: makes one member of a robot's JSON
Part = Callable[[Robot], Any]

_parts: dict[str, Part] = {}


def register(name: str, part: Part) -> None:
    """Show `part(robot)` as member `name` of every robot."""
    _parts[name] = part


def parts_of(robot: Robot) -> dict[str, Any]:
    """All registered members of `robot`."""
    return {name: part(robot) for name, part in _parts.items()}
