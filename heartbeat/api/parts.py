"""What other apps add to a robot in the API. Registered in their `AppConfig.ready()`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from rest_framework import serializers

from heartbeat.models import Robot

#: makes one member of a robot's JSON from its row, and from nothing else: the row's version is the answer's ETag
Part = Callable[[Robot], Any]


@dataclass(frozen=True, slots=True)
class _Registered:
    part: Part
    schema: dict[str, Any]


_parts: dict[str, _Registered] = {}


def register(name: str, part: Part, schema: dict[str, Any]) -> None:
    """Show `part(robot)` as member `name` of every robot; `schema` is its JSON schema for the API's description."""
    _parts[name] = _Registered(part, schema)


def parts() -> dict[str, "PartField"]:
    """A field for each registered member."""
    return {name: PartField(known) for name, known in _parts.items()}


class PartField(serializers.Field):
    """One registered member."""

    def __init__(self, known: _Registered) -> None:
        super().__init__(source="*", read_only=True)
        self.known = known

    def to_representation(self, robot: Robot) -> Any:
        """What the app says of the robot."""
        return self.known.part(robot)


class PartFieldDescribed(OpenApiSerializerFieldExtension):
    """The registered schema in the OpenAPI document."""

    target_class = PartField

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        """The schema as it was registered."""
        schema: dict[str, Any] = self.target.known.schema
        return schema
