"""Which scope a call needs when it is made with an operator's token.

By the call's route, for every view there is: a view that nobody put into an area cannot be called with a token.
Other apps register theirs in their `AppConfig.ready()`.
"""

from heartbeat.rules.scopes import needed

#: any live token may read these: they say nothing that is not said to everybody
FREE = frozenset({"health", "schema", "validation"})

_areas = {
    "robots": "robots",
    "fleet": "robots",
    "incidents": "robots",
    "maintenance-windows": "robots",
    "enrolment-tokens": "tokens",
    "operator-tokens": "tokens",
    "legacy-closures": "tokens",
}


class OutOfScope(Exception):
    """No scope opens this call."""


def register(path: str, area: str) -> None:
    """Put the routes under `/api/v2/{path}` into `area` (a part of scopes, before the colon)."""
    _areas[path] = area


def scope_of(route: str, method: str) -> str | None:
    """The scope that a call of `route` (as in the URL configuration) needs, None when any token will do.

    Raises OutOfScope where tokens are not taken at all.
    """
    prefix, _, below = route.partition("api/v2/")
    words = [word for word in below.split("/") if word and not word.startswith("<")]
    if prefix or not words:
        raise OutOfScope(route)
    if words[0] in FREE:
        return None
    if words[0] not in _areas:
        raise OutOfScope(route)
    return needed("tokens" if "tokens" in words else _areas[words[0]], method)
