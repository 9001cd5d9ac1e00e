"""What goes wrong in the field, by flag: robots that vanish, silences that end in a burst, copies, wrong order."""

import argparse
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vanishing:
    """`robots` fall silent `at_seconds` after the start, for `for_seconds` (None: for good)."""

    robots: int
    at_seconds: float
    for_seconds: float | None

    @classmethod
    def parse(cls, text: str) -> "Vanishing":
        """`N@T` or `N@T+D`, as in 5@60 or 5@60+30."""
        match = re.fullmatch(r"(\d+)@(\d+(?:\.\d+)?)(?:\+(\d+(?:\.\d+)?))?", text)
        if match is None:
            raise argparse.ArgumentTypeError(f"{text!r} is not N@T or N@T+D (robots @ seconds + seconds)")
        return cls(int(match[1]), float(match[2]), float(match[3]) if match[3] else None)


@dataclass(frozen=True, slots=True)
class Burst:
    """From `at_seconds` on the whole fleet holds its heartbeats back for `seconds`, then sends them all at once."""

    seconds: float
    at_seconds: float

    @classmethod
    def parse(cls, text: str) -> "Burst":
        """`D@T`, as in 4@30: silent for 4 s from second 30."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)@(\d+(?:\.\d+)?)", text)
        if match is None:
            raise argparse.ArgumentTypeError(f"{text!r} is not D@T (seconds of silence @ seconds after the start)")
        return cls(float(match[1]), float(match[2]))

    def holds_back(self, age_seconds: float) -> bool:
        """Is the fleet in this silence, `age_seconds` after its start?"""
        return self.at_seconds <= age_seconds < self.at_seconds + self.seconds


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares are of heartbeats, 0 to 1."""

    duplicate_share: float = 0.0
    reorder_share: float = 0.0
    vanishings: tuple[Vanishing, ...] = ()
    bursts: tuple[Burst, ...] = ()


def share(text: str) -> float:
    """A number between 0 and 1, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share between 0 and 1")
    return value
