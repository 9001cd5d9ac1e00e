"""What an operator's token may be used for. It never allows more than its user may do."""

from collections.abc import Iterable

#: scope → what it opens, as the documentation and the admin say it
SCOPES = {
    "robots:read": "robots, their heartbeats and events, the fleet's numbers, incidents, maintenance windows",
    "robots:write": "changing robots' settings, incidents and maintenance windows",
    "tokens:read": "the lists of tokens (never the tokens) and of closed legacy paths",
    "tokens:write": "issuing, rotating and revoking tokens; closing and opening the legacy path",
    "teleop:read": "who drives which robot, and the history of sessions",
    "teleop:write": "asking a robot to end its session",
    "migration:read": "the state of the migration and its audit log",
    "migration:write": "votes, steps, rollbacks, releases",
}


def needed(area: str, method: str) -> str:
    """The scope that a call of `method` in `area` (the part of a scope before the colon) needs."""
    return f"{area}:read" if method in ("GET", "HEAD", "OPTIONS") else f"{area}:write"


def covers(granted: Iterable[str], scope: str) -> bool:
    """Whether the granted scopes cover `scope`: writing includes reading."""
    area, _, verb = scope.partition(":")
    return any(one == scope or (verb == "read" and one == f"{area}:write") for one in granted)


def unknown(scopes: Iterable[str]) -> list[str]:
    """Those that do not exist, in order."""
    return [one for one in scopes if one not in SCOPES]
