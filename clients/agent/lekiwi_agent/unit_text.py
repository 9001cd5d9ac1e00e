"""`systemctl show --property=Id,LoadState,ActiveState UNIT…`: blocks of `Name=value`, with an empty line between."""

#: what the heartbeat knows; a unit that is starting or stopping is neither
_WORDS = {"active": "active", "reloading": "active", "inactive": "inactive", "failed": "inactive"}


def read_service(text: str) -> str | None:
    """active if one of the units is, inactive if none of those that exist is, None if none exists."""
    states = [_WORDS.get(unit.get("ActiveState", ""), "unknown") for unit in _units(text) if _exists(unit)]
    if not states:
        return None
    return next((word for word in ("active", "unknown") if word in states), "inactive")


def _exists(unit: dict[str, str]) -> bool:
    return unit.get("LoadState") in ("loaded", "masked")


def _units(text: str) -> list[dict[str, str]]:
    blocks: list[dict[str, str]] = [{}]
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            blocks[-1][name.strip()] = value.strip()
        elif not line.strip():
            blocks.append({})
    return [block for block in blocks if block]
