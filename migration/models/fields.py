"""A column for any JSON value as it was read."""

import json
from typing import Any

from django.db import models


class JSONValueField(models.TextField):
    """Any JSON value as its ASCII text: keeps `\\u0000` and lone surrogates, which `jsonb` refuses, and strings too."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        """Text → Python value."""
        return None if value is None else json.loads(value)

    def get_prep_value(self, value: Any) -> str | None:
        """Python value → text; None stays SQL's NULL."""
        return None if value is None else json.dumps(value)
