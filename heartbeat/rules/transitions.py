"""Which steps a robot's liveness takes, and when each became true."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from heartbeat.rules.deafness import Deaf, counted_from
from heartbeat.rules.liveness import Liveness, Thresholds, silence


@dataclass(frozen=True, slots=True)
class Heard:
    """When a robot was first and last heard (None: never), and what its silence is measured by."""

    first_at: datetime | None
    last_at: datetime | None
    limits: Thresholds


@dataclass(frozen=True, slots=True)
class Step:
    """The robot became `state` at `at`."""

    state: Liveness
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Known:
    """The state that was written last, since when it is so, and the last heartbeat that was known then."""

    state: Liveness
    since: datetime
    heard_at: datetime | None


def steps(known: Known, heard: Heard, deaf: Sequence[Deaf], now: datetime) -> list[Step]:
    """Every step from what is known to what is true at `now`, in order. `now` is the moment until which we listened.

    A robot that is late or offline gets online by being heard, or because what is expected of it changed; a deaf time
    alone never makes it so.
    """
    state, heard_at = known.state, known.heard_at
    if heard.last_at is None or heard.first_at is None:
        return []
    taken: list[Step] = []
    if state is Liveness.NEVER:
        taken.append(Step(Liveness.ONLINE, heard.first_at, "first heard"))
    elif state is not Liveness.ONLINE:
        if heard_at is None or heard.last_at > heard_at:
            lasted = f" after {_seconds(heard.last_at - heard_at)}" if heard_at else ""
            taken.append(Step(Liveness.ONLINE, heard.last_at, f"heard again{lasted}"))
        elif now >= known.since and silence(now - heard.last_at, heard.limits) is Liveness.ONLINE:
            taken.append(Step(Liveness.ONLINE, now, "less is expected of it now"))
    return taken + _falls(taken[-1].state if taken else state, heard, deaf, now)


def deadline(state: Liveness, heard: Heard, deaf: Sequence[Deaf]) -> datetime | None:
    """When a robot that stays silent takes its next step; None if silence changes nothing any more."""
    if heard.last_at is None or state in (Liveness.NEVER, Liveness.OFFLINE):
        return None
    after = Liveness.LATE if state is Liveness.ONLINE else Liveness.OFFLINE
    return counted_from(heard.last_at, deaf) + timedelta(seconds=heard.limits.after_seconds(after))


def _falls(state: Liveness, heard: Heard, deaf: Sequence[Deaf], now: datetime) -> list[Step]:
    if state is Liveness.OFFLINE or heard.last_at is None:
        return []
    counted = counted_from(heard.last_at, deaf)
    found = silence(now - counted, heard.limits)
    if found in (Liveness.ONLINE, state):
        return []
    steps_down = [Liveness.LATE, Liveness.OFFLINE] if state is Liveness.ONLINE else [Liveness.OFFLINE]
    if found is Liveness.LATE:
        steps_down = [Liveness.LATE]
    elif heard.limits.late_after_seconds >= heard.limits.offline_after_seconds:
        steps_down = [Liveness.OFFLINE]
    fallen = []
    for down in steps_down:
        after = timedelta(seconds=heard.limits.after_seconds(down))
        reason = f"silent for more than {_seconds(counted + after - heard.last_at)}"
        if counted > heard.last_at:
            reason += f", of which {_seconds(counted - heard.last_at)} do not count: nobody could listen"
        fallen.append(Step(down, counted + after, reason))
    return fallen


def _seconds(lasted: timedelta) -> str:
    return f"{lasted.total_seconds():,.1f} s"
