"""Query parameters: declared once, then parsed, refused and documented from that declaration.

What is not declared is refused: a typo in a filter must not return everything.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.http import QueryDict
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

_PLUS_LOST = re.compile(r"(?<=\d) (?=\d\d:?\d\d$)")


class Query(serializers.Serializer):
    """The parameters of one operation. A subclass declares fields; all of them are optional."""

    def parsed(self, given: QueryDict) -> dict[str, Any]:
        """Name → value of what was given. Raises ValidationError, naming each parameter that cannot be."""
        values: dict[str, Any] = {}
        wrong: dict[str, list[str]] = {}
        for name, texts in given.lists():
            field = self.fields.get(name)
            if field is None:
                wrong[name] = [f"is not a parameter here; there are {', '.join(self.fields) or 'none'}"]
            elif isinstance(field, serializers.ListField):
                values[name] = texts
            elif len(texts) > 1:
                wrong[name] = ["is given more than once"]
            else:
                values[name] = texts[0]
        if wrong:
            raise ValidationError(wrong)
        return dict(self.run_validation(values))


class Moment(serializers.DateTimeField):
    """A time with its offset (UTC without one). The plus sign of an offset may have become a space on its way."""

    def to_internal_value(self, value: Any) -> datetime:
        """The text as an aware time."""
        if isinstance(value, str):
            value = _PLUS_LOST.sub("+", value)
        return super().to_internal_value(value)


class Names(serializers.Field):
    """Some of a set of names, separated by commas."""

    def __init__(self, names: Iterable[str], **options: Any) -> None:
        super().__init__(**options)
        self.names = tuple(names)

    def to_internal_value(self, value: Any) -> tuple[str, ...]:
        """The names that were asked for, each once, in the order of the set."""
        asked = {name.strip() for name in str(value).split(",")}
        if unknown := sorted(asked.difference(self.names)):
            raise ValidationError(f"has no {', '.join(map(repr, unknown))}; there are {', '.join(self.names)}")
        return tuple(name for name in self.names if name in asked)


class NamesDescribed(OpenApiSerializerFieldExtension):
    """In the OpenAPI document: any of the set (`heartbeat.api.schema` says that commas separate them)."""

    target_class = Names

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        """An array of what there is."""
        return {"type": "array", "items": {"enum": list(self.target.names)}, "minItems": 1}


class Several(serializers.ListField):
    """A parameter that may be given several times."""

    def to_internal_value(self, data: Any) -> list[Any]:
        """The values. What is wrong with any of them is said of the parameter: a caller knows no positions."""
        try:
            return list(super().to_internal_value(data))
        except ValidationError as error:
            raise ValidationError(
                [reason for _, reasons in sorted(error.detail.items()) for reason in reasons]
            ) from error


def several(child: serializers.Field, **options: Any) -> Several:
    """A parameter that may be given several times: any of the values will do."""
    return Several(child=child, max_length=100, required=False, **options)
