"""JSON as PostgreSQL's `json` type and other programs can take it."""

import json
import math
from typing import Any


def finite(value: Any) -> Any:
    """`value` with None for NaN and the infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def json_text(value: Any) -> tuple[str, bool]:
    """`value` as ASCII JSON (NUL and lone surrogates stay escapes), and whether a NaN or infinity became null."""
    try:
        return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")), False
    except ValueError:
        return json.dumps(finite(value), ensure_ascii=True, separators=(",", ":")), True
