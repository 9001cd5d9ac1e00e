"""Which silences are one incident, and what is said of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from heartbeat.rules.liveness import Liveness

#: robots of one site that vanish together are noticed as far apart as they speak, and a little
JOINS_WITHIN_SECONDS = 60.0
#: a site that loses a robot every minute has more than one incident
LONGEST_JOINING_SECONDS = 900.0
NAMED = 10


def joins(opened_at: datetime, last_joined_at: datetime, at: datetime, interval_seconds: float) -> bool:
    """Whether a robot that fell silent at `at` belongs to an open incident of its site."""
    near = timedelta(seconds=JOINS_WITHIN_SECONDS + interval_seconds)
    whole = timedelta(seconds=LONGEST_JOINING_SECONDS + interval_seconds)
    return abs(at - last_joined_at) <= near and at - opened_at <= whole


def rank(level: str) -> int:
    """How bad a level is: nothing told, late, offline."""
    return {"": 0, Liveness.LATE: 1, Liveness.OFFLINE: 2}[level]


def sentence(level: str, site: str, robots: Sequence[str], reasons: Sequence[str] = ()) -> str:
    """What a notice says when an incident opens or gets worse."""
    where = f" at site {site}" if site else ""
    names = ", ".join(robots[:NAMED]) + (f" and {len(robots) - NAMED} more" if len(robots) > NAMED else "")
    several = f"{len(robots)} robots{where} are {level}" if len(robots) > 1 else f"1 robot{where} is {level}"
    different = {reason for reason in reasons if reason}
    return f"{several}: {names}" + (f" ({different.pop()})" if len(different) == 1 else "")


def recovered_sentence(site: str, robots: int, lasted: timedelta) -> str:
    """What a notice says when the last robot of an incident is back."""
    where = f" at site {site}" if site else ""
    several = f"all {robots} robots{where} are" if robots > 1 else f"the robot{where} is"
    return f"{several} online again after {lasted.total_seconds():,.0f} s"
