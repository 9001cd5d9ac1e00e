"""When traffic goes back by itself (DESIGN.md, "Rollback matrix"): a pure decision over the proxies' own figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from migration.rules.detecting import Detector, Suspicion


class Action(StrEnum):
    """What the watchdog does about what it saw."""

    NOTHING = "nothing"
    ALERT = "alert"
    HOLD = "hold"
    PREVIOUS = "previous"
    EMERGENCY = "emergency"
    DATA_CORRUPTION = "data_corruption"


#: those that take traffic back
MOVES = (Action.PREVIOUS, Action.EMERGENCY, Action.DATA_CORRUPTION)


class Mode(StrEnum):
    """What a rule may do when it finds something."""

    OBSERVE = "observe"
    HOLD = "hold"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the rollback matrix, as operators read it."""

    name: str
    when: str
    then: str


#: worst first: the first one that may act decides
RULES: tuple[Rule, ...] = (
    Rule("data_corruption", "state does not follow from the heartbeats", "0 %, v2 refused, restore"),
    Rule("error_rate_5", "errors above 5 %, or complete failure", "emergency: 0 %, latched"),
    Rule("error_rate_1", "errors above 1 %", "previous phase at once"),
    Rule("service_down", "new down for more than 5 min", "previous phase"),
    Rule("slow", "p99 above 500 ms", "alert, 5 min to investigate, then previous phase"),
)
RULE_NAMES = tuple(rule.name for rule in RULES)


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
    detector: Detector = field(default_factory=Detector)


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
    #: what the change detector thinks of `new`
    suspicion: Suspicion = field(default_factory=Suspicion)
    #: every proxy has legacy out of rotation: it may not have been asked anything lately
    legacy_is_out: bool = False
    #: the watchdog took traffic back by a phase a moment ago, and this is seen under the new route
    stepped_back: bool = False
    #: why the stored state is not to be trusted; empty while nothing speaks against it
    corruption: str = ""
    #: in which cohort the errors of `new` are; empty where no single one explains them. It moves no decision.
    where: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that applies, and what the matrix says to do about it."""

    rule: str
    action: Action
    sentence: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do and the sentence that goes into the audit log; beside it, what other rules only observed."""

    action: Action
    rule: str = ""
    sentence: str = ""
    observed: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Guarding:
    """What operators allow: the automation as a whole, and each rule of it."""

    is_on: bool = True
    #: who switched it off, and why; empty while it is on
    because: str = ""
    modes: Mapping[str, Mode] = field(default_factory=dict)

    def mode_of(self, rule: str) -> Mode:
        """How far a rule may go now. A rule nobody set rolls back."""
        return self.modes.get(rule, Mode.ROLL_BACK) if self.is_on else Mode.OBSERVE


EVERYTHING = Guarding()


def decide(seen: Seen, matrix: Matrix = Matrix(), guarding: Guarding = EVERYTHING) -> Decision:
    """Apply the rollback matrix to one look.

    The worst rule that may act decides; those that may only observe say what they would have done.
    Never moves traffic onto a system that is worse: with legacy failing no less than `new` it holds and pages.
    """
    observed: list[Finding] = []
    for finding in findings(seen, matrix):
        mode = guarding.mode_of(finding.rule)
        if mode is Mode.OBSERVE:
            observed.append(finding)
            continue
        return _decided(finding, mode, seen, matrix, tuple(observed))
    return Decision(Action.NOTHING, observed=tuple(observed))


def findings(seen: Seen, matrix: Matrix = Matrix()) -> list[Finding]:
    """Every rule that applies, the worst first."""
    if not seen.in_play:
        return []
    found = [_corrupt(seen), _gross(seen, matrix), _above_limit(seen, matrix), _down(seen, matrix), _slow(seen, matrix)]
    applies = [finding for finding in found if finding]
    if seen.stepped_back:
        applies = [_gone_on(finding) if finding.action is Action.PREVIOUS else finding for finding in applies]
    return applies


def _decided(finding: Finding, mode: Mode, seen: Seen, matrix: Matrix, observed: tuple[Finding, ...]) -> Decision:
    if finding.action not in MOVES:
        return Decision(finding.action, finding.rule, finding.sentence, observed)
    if mode is Mode.HOLD:
        sentence = f"{finding.sentence}: this rule only holds, page somebody"
        return Decision(Action.HOLD, finding.rule, sentence, observed)
    if worse := _legacy_is_worse(seen, matrix):
        return Decision(Action.HOLD, finding.rule, f"{finding.sentence}, but {worse}: holding, page somebody", observed)
    return Decision(finding.action, finding.rule, finding.sentence, observed)


def _legacy_is_worse(seen: Seen, matrix: Matrix) -> str:
    """Why traffic must not go to legacy, or an empty string."""
    legacy = seen.legacy
    if seen.legacy_is_out:
        return "legacy is out of rotation at every proxy"
    is_sick = legacy.errors >= matrix.minimum_errors and legacy.error_share > matrix.rollback_share
    if is_sick and legacy.error_share >= seen.new.error_share:
        return f"legacy fails no less ({legacy.error_share:.1%})"
    return ""


def _gone_on(finding: Finding) -> Finding:
    return Finding(finding.rule, Action.EMERGENCY, f"{finding.sentence}, still so after the step back: on to 0 %")


def _corrupt(seen: Seen) -> Finding | None:
    return Finding("data_corruption", Action.DATA_CORRUPTION, seen.corruption) if seen.corruption else None


def _and_where(seen: Seen) -> str:
    return f"; {seen.where}" if seen.where else ""


def _told(new: Window) -> str:
    return f"{new.errors:,} of {new.requests:,} requests failed ({new.error_share:.1%})"


def _is_enough(new: Window, matrix: Matrix) -> bool:
    return new.requests >= matrix.minimum_requests and new.errors >= matrix.minimum_errors


def _gross(seen: Seen, matrix: Matrix) -> Finding | None:
    if not (_is_enough(seen.new, matrix) and seen.new.error_share > matrix.emergency_share):
        return None
    sentence = f"new: {_told(seen.new)}, above {matrix.emergency_share:.0%}{_and_where(seen)}"
    return Finding("error_rate_5", Action.EMERGENCY, sentence)


def _above_limit(seen: Seen, matrix: Matrix) -> Finding | None:
    new, limit = seen.new, f"above {matrix.rollback_share:.0%}"
    believed = seen.looks_above >= matrix.looks_to_believe and _is_enough(new, matrix)
    if believed and new.error_share > matrix.rollback_share:
        return Finding("error_rate_1", Action.PREVIOUS, f"new: {_told(new)}, {limit}{_and_where(seen)}")
    noticed = seen.suspicion
    if noticed.is_believed(matrix.detector):
        lately = Window(noticed.requests, noticed.errors, None)
        sentence = f"new: {_told(lately)} in {noticed.looks} looks, {limit} by the change detector"
        return Finding("error_rate_1", Action.PREVIOUS, sentence + _and_where(seen))
    return None


def _down(seen: Seen, matrix: Matrix) -> Finding | None:
    if seen.down_for_seconds <= matrix.down_patience_seconds:
        return None
    return Finding("service_down", Action.PREVIOUS, f"new has been down for {seen.down_for_seconds:.0f} s")


def _slow(seen: Seen, matrix: Matrix) -> Finding | None:
    limit = f"{matrix.slow_milliseconds:.0f} ms"
    if seen.slow_for_seconds > matrix.slow_patience_seconds:
        minutes = matrix.slow_patience_seconds / 60
        return Finding("slow", Action.PREVIOUS, f"new: p99 above {limit} for {minutes:g} min")
    p99 = seen.new.p99_milliseconds
    if p99 is not None and p99 > matrix.slow_milliseconds:
        left = matrix.slow_patience_seconds - seen.slow_for_seconds
        return Finding("slow", Action.ALERT, f"new: p99 {p99:.0f} ms, above {limit}; it goes back in {left:.0f} s")
    return None
