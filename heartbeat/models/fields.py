"""A column of PostgreSQL's `json` type."""

import json
from typing import Any

from django.db import models

from heartbeat.rules.json_text import json_text


class PlainJSONField(models.Field):
    """A `json` column: keeps the text as sent, with `\\u0000` and lone surrogates, which `jsonb` refuses.

    Python values go in and come out. No key look-ups: SQL that needs them casts what it selects.
    """

    description = "JSON text"

    def db_type(self, connection: Any) -> str:
        """The column's type in PostgreSQL."""
        return "json"

    def get_prep_value(self, value: Any) -> str | None:
        """Python value → JSON text, ASCII only; None stays SQL's NULL."""
        return None if value is None else json_text(value)[0]

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """JSON text → what psycopg sends."""
        return value if prepared else self.get_prep_value(value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """What psycopg read → Python value."""
        return json.loads(value) if isinstance(value, str) else value

    def value_to_string(self, obj: models.Model) -> str:
        """JSON text for serialisers."""
        return json_text(self.value_from_object(obj))[0]


class RealField(models.FloatField):
    """Four bytes instead of eight: seven digits are more than a robot's sensor has."""

    description = "Real number"

    def db_type(self, connection: Any) -> str:
        """The column's type in PostgreSQL."""
        return "real"
