"""Which field of a body msgspec refused, and why."""

import re

_PLACE = re.compile(r"^(?P<reason>.*?) - at `(?:key in )?\$\.?(?P<field>.*)`$", re.DOTALL)
_MISSING = re.compile(r"required field `(?P<name>[^`]+)`")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]+)`")


def field_and_reason(message: str) -> tuple[str, str]:
    """The field (empty: the whole body) and the reason in the message of a `msgspec.ValidationError`."""
    place = _PLACE.match(message)
    reason, field = (place["reason"], place["field"]) if place else (message, "")
    for pattern, words in ((_MISSING, "is required"), (_UNKNOWN, "nobody knows this field")):
        if found := pattern.search(reason):
            return (f"{field}.{found['name']}" if field else found["name"]), words
    return field, reason
