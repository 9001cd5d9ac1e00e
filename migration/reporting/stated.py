"""What other parts state for the report. A part registers its statement in `AppConfig.ready()` or where it is made."""

from collections.abc import Callable

#: (held, what was found), or None while it cannot be said
Statement = Callable[[], tuple[bool, str] | None]

#: name of the criterion → title, limit, why it is inconclusive while nobody states it
STATED = {
    "teleop": ("Teleoperation 100 % accurate", "100 %", "teleoperation is not compared yet"),
    "team_trained": ("Team trained", "signed", "nobody has signed it"),
    "decommissioned": ("Legacy safely decommissioned", "archived, then off", "the phase Decommission is not complete"),
}

_statements: dict[str, Statement] = {}


def register(name: str, statement: Statement) -> None:
    """Let `statement` answer for one of `STATED`."""
    if name not in STATED:
        raise ValueError(f"{name} is no criterion that is stated; there are {', '.join(STATED)}")
    _statements[name] = statement


def found(name: str) -> tuple[bool, str] | None:
    """What is stated now, None if nothing is."""
    statement = _statements.get(name)
    return statement() if statement else None
