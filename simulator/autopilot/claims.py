"""What a flight has to show."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """Something the run has to show, and what it showed."""

    sentence: str
    held: bool
    found: str
