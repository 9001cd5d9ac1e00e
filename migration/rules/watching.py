"""When traffic goes back by itself (DESIGN.md, "Rollback matrix"): a pure decision over the proxies' own figures."""

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What the watchdog does about what it saw."""

    NOTHING = "nothing"
    ALERT = "alert"
    HOLD = "hold"
    PREVIOUS = "previous"
    EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True)
class Window:
    """What one system did in the window that is judged. Copies dropped on the way to it are among its errors."""

    requests: int
    errors: int
    p99_milliseconds: float | None

    @property
    def error_share(self) -> float:
        """Errors by requests, 0–1; 0 where nothing was asked."""
        return self.errors / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Matrix:
    """The thresholds. `minimum_*` keep a handful of requests from moving a fleet."""

    emergency_share: float = 0.05
    rollback_share: float = 0.01
    slow_milliseconds: float = 500.0
    slow_patience_seconds: float = 300.0
    down_patience_seconds: float = 300.0
    minimum_requests: int = 40
    minimum_errors: int = 5
    #: a failure that has only begun looks small: above 1 % is believed at the second look, above 5 % at once
    looks_to_believe: int = 2


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything one look saw. The slow and down times are how long it has been so, without a break, in seconds."""

    new: Window
    legacy: Window
    #: whether anything can be taken back from `new`: it owns traffic, or hears copies
    in_play: bool
    slow_for_seconds: float = 0.0
    #: how many looks in a row, this one included, saw more errors than the lower limit
    looks_above: int = 0
    down_for_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do and the sentence that goes into the audit log."""

    action: Action
    rule: str = ""
    sentence: str = ""


def decide(seen: Seen, matrix: Matrix = Matrix()) -> Decision:
    """Apply the rollback matrix to one look.

    Never moves traffic onto a system that is worse: with legacy failing no less than `new` it holds and pages.
    """
    wanted = _wanted(seen, matrix)
    moves = wanted.action in (Action.PREVIOUS, Action.EMERGENCY)
    legacy = seen.legacy
    is_sick = legacy.errors >= matrix.minimum_errors and legacy.error_share > matrix.rollback_share
    if moves and is_sick and legacy.error_share >= seen.new.error_share:
        return Decision(
            Action.HOLD,
            wanted.rule,
            f"{wanted.sentence}, but legacy fails no less ({legacy.error_share:.1%}): holding, page somebody",
        )
    return wanted


def _wanted(seen: Seen, matrix: Matrix) -> Decision:
    new = seen.new
    if not seen.in_play:
        return Decision(Action.NOTHING)
    enough = new.requests >= matrix.minimum_requests and new.errors >= matrix.minimum_errors
    told = f"{new.errors:,} of {new.requests:,} requests failed ({new.error_share:.1%})"
    if enough and new.error_share > matrix.emergency_share:
        return Decision(Action.EMERGENCY, "error_rate_5", f"new: {told}, above {matrix.emergency_share:.0%}")
    believed = seen.looks_above >= matrix.looks_to_believe
    if enough and believed and new.error_share > matrix.rollback_share:
        return Decision(Action.PREVIOUS, "error_rate_1", f"new: {told}, above {matrix.rollback_share:.0%}")
    if seen.down_for_seconds > matrix.down_patience_seconds:
        return Decision(Action.PREVIOUS, "service_down", f"new has been down for {seen.down_for_seconds:.0f} s")
    if seen.slow_for_seconds > matrix.slow_patience_seconds:
        return Decision(Action.PREVIOUS, "slow", f"new: p99 above {matrix.slow_milliseconds:.0f} ms for 5 min")
    if new.p99_milliseconds is not None and new.p99_milliseconds > matrix.slow_milliseconds:
        return Decision(Action.ALERT, "slow", f"new: p99 {new.p99_milliseconds:.0f} ms, above 500 ms")
    return Decision(Action.NOTHING)
