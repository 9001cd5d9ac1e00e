"""What a robot's clock is wrong by, and when a late heartbeat was true. The server's time rules.

The difference of the two clocks is seen through the network's delay, which is never negative: the smallest of many is
the best estimate. A smaller one counts at once (also when the robot's clock was set), a larger one only when nothing
smaller was seen for a while, so that a backlog sent after an outage does not look like a clock that went back.
"""

import math
from dataclasses import dataclass

#: how long a smaller difference must be missing before a larger one is believed
PATIENCE_SECONDS = 60.0
#: younger than this a heartbeat is taken as it arrives: networks and queues make no history
LATE_SECONDS = 2.0
#: a clock that was set back by more looks like history that nobody keeps
LATEST_SECONDS = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Clock:
    """`offset`: seconds to add to the robot's time. `candidate`: the smallest larger one seen since `since`."""

    offset: float
    candidate: float
    since: float


def heard(clock: Clock | None, difference: float, now: float) -> Clock:
    """The estimate after a heartbeat that arrived `difference` seconds after the robot's own stamp, at `now`."""
    if clock is None or difference <= clock.offset:
        return Clock(difference, math.inf, now)
    if difference >= clock.candidate and now - clock.since < PATIENCE_SECONDS:
        return clock
    candidate = min(clock.candidate, difference)
    if now - clock.since < PATIENCE_SECONDS:
        return Clock(clock.offset, candidate, clock.since)
    return Clock(candidate, math.inf, now)


def seconds_late(clock: Clock, difference: float) -> float:
    """How long before its arrival a heartbeat was true; 0 for one that came as usual."""
    late = difference - clock.offset
    return min(late, LATEST_SECONDS) if late > LATE_SECONDS else 0.0
