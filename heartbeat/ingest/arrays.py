"""Columns of a batch as PostgreSQL's array literals.

The driver encodes arrays element by element and asks of each whether it is an array itself, which cost a third of a
heartbeat. JSON's encoder writes nearly the same text in C.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

_encode = msgspec.json.Encoder().encode

Value = str | float | int | bool | datetime | UUID | None


def array_literal(values: Sequence[Value]) -> str:
    """`{"a",1.5,null}` of texts, numbers, moments or UUIDs."""
    return "{" + array_items(values) + "}"


def array_items(values: Sequence[Value]) -> str:
    """What stands between the braces. What differs from JSON's text is escaped by hand."""
    text = _encode(values)
    if b"\\" in text and b"\\" in text.replace(b"\\\\", b"").replace(b'\\"', b""):
        return ",".join(map(_element, values))
    return text[1:-1].decode()


def number_items(numbers: Sequence[float | None]) -> str:
    """The same of numbers, in which nothing has to be escaped."""
    return _encode(numbers)[1:-1].decode()


def keys_literal(keys: Iterable[bytes]) -> str:
    """Keys as the text of a `bytea[]`."""
    return "{" + ",".join([f"\\\\x{key.hex()}" for key in keys]) + "}"


def _element(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _encode(value).decode()
