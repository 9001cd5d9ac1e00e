"""When a report was measured, by the server's clock, from the robot's clock that nobody sets.

The robot counts milliseconds since its start, so NTP and a wrong date change nothing. The difference to the server's
time is estimated from the quickest of its reports, as in `heartbeat.rules.clocks`.
"""

from heartbeat.rules.clocks import Clock, heard

#: a report that seems older than this came by a clock that is not what it says
LATEST_SECONDS = 3_600.0


def measured_at(
    clock: Clock | None, measured: float | None, received: float, fallback: float
) -> tuple[float, Clock | None]:
    """(the moment, the clock that is known now). `measured`: seconds by the robot; `fallback`: if it does not say."""
    if measured is None:
        return min(fallback, received), clock
    clock = heard(clock, received - measured, received)
    at = min(received, measured + clock.offset)
    return (at if received - at <= LATEST_SECONDS else received), clock
