"""What one detector concludes from one report."""

from dataclasses import dataclass

from teleop.rules.signals import Driver


@dataclass(frozen=True, slots=True)
class Finding:
    """`operated` is a weight, in log-odds, for (above 0) or against that somebody drives; None: it says nothing of it.

    `since` and `until` are moments between which commands certainly flowed, where the signal knows them. `host` tells
    whether the host program runs, and `host_weight` how far to believe it. `gone`: whoever drove has left, for sure.
    """

    signal: str
    because: str
    operated: float | None = None
    since: float | None = None
    until: float | None = None
    host: bool | None = None
    host_weight: float = 0.0
    driver: Driver | None = None
    driver_weight: float = 0.0
    gone: bool = False
