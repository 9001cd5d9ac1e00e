"""What the rollback rules would have done in a stored phase under other thresholds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from migration.rules.sequential import Evidence, Verdict, judge
from migration.rules.watching import Action, Matrix, Seen, Window, decide

#: firings closer together than this are about one fault
SAME_FAULT_SECONDS = 10.0

#: words of an operator → field of the matrix, and whether it is a share
_WORDS: Mapping[str, tuple[str, bool]] = {
    "error_rate": ("rollback_share", True),
    "emergency_error_rate": ("emergency_share", True),
    "p99_ms": ("slow_milliseconds", False),
    "slow_patience_s": ("slow_patience_seconds", False),
    "down_patience_s": ("down_patience_seconds", False),
    "minimum_requests": ("minimum_requests", False),
    "minimum_errors": ("minimum_errors", False),
    "looks": ("looks_to_believe", False),
}
#: of the Performance gate
GATE_WORDS = ("gate_error_rate", "gate_slow_rate")


class BadThreshold(ValueError):
    """A threshold that nobody knows, or a value that is none."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the watchdog saw at one moment, `at` in seconds since the phase began."""

    at: float
    new: Window
    legacy: Window


@dataclass(frozen=True, slots=True)
class Firing:
    """The rule would have moved traffic here; `last` is when the same fault was seen for the last time."""

    at: float
    last: float
    rule: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Gate:
    """What the Performance gate would have said first, and when (seconds since the phase began)."""

    verdict: Verdict
    at: float | None
    sentence: str


def threshold(word: str, text: str) -> float:
    """The value of `word=text`; a share may be written as a percentage. Raises `BadThreshold`."""
    is_share = word in GATE_WORDS or _WORDS.get(word, ("", False))[1]
    if word not in GATE_WORDS and word not in _WORDS:
        raise BadThreshold(f"{word} is no threshold; there are {', '.join([*_WORDS, *GATE_WORDS])}")
    try:
        value = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        raise BadThreshold(f"{word} is {text!r}: write a number{' or a percentage' if is_share else ''}") from None
    if not 0 < value < float("inf") or (is_share and value >= 1) or (text.strip().endswith("%") and not is_share):
        raise BadThreshold(
            f"{word} is {text!r}, but has to be {'between 0 and 100 %' if is_share else 'a positive number'}"
        )
    return value


def changed(matrix: Matrix, values: Mapping[str, float]) -> Matrix:
    """The matrix with other thresholds."""
    kinds = {field.name: type(getattr(matrix, field.name)) for field in fields(matrix)}
    names = {_WORDS[word][0]: value for word, value in values.items() if word in _WORDS}
    return replace(matrix, **{name: kinds[name](value) for name, value in names.items()})


def firings(looks: Sequence[Look], matrix: Matrix) -> list[Firing]:
    """Every fault that would have moved traffic, as the watchdog decides: with its memory of the looks before."""
    found: list[Firing] = []
    above = 0
    slow_since: float | None = None
    down_since: float | None = None
    for look in looks:
        above = above + 1 if look.new.error_share > matrix.rollback_share else 0
        p99 = look.new.p99_milliseconds
        slow_since = _since(slow_since, look.at, p99 is not None and p99 > matrix.slow_milliseconds)
        down_since = _since(down_since, look.at, 0 < look.new.requests <= look.new.errors)
        seen = Seen(
            new=look.new,
            legacy=look.legacy,
            looks_above=above,
            in_play=True,
            slow_for_seconds=look.at - slow_since if slow_since is not None else 0.0,
            down_for_seconds=look.at - down_since if down_since is not None else 0.0,
        )
        decision = decide(seen, matrix)
        if decision.action not in (Action.PREVIOUS, Action.EMERGENCY):
            continue
        if found and look.at - found[-1].last <= SAME_FAULT_SECONDS:
            found[-1] = replace(found[-1], last=look.at)
        else:
            found.append(Firing(look.at, look.at, decision.rule, decision.sentence))
    return found


def _since(since: float | None, at: float, holds: bool) -> float | None:
    return (at if since is None else since) if holds else None


def split(found: Sequence[Firing], rolled_back_at: float | None) -> tuple[Firing | None, list[Firing]]:
    """(the firing about the fault that traffic went back for, false ones).

    A phase that ended well was right to go on, so every firing in it is false; in one that was rolled back those are
    false that were over before the fault.
    """
    if rolled_back_at is None:
        return None, list(found)
    right = [one for one in found if one.at <= rolled_back_at + 1 and rolled_back_at - one.last <= SAME_FAULT_SECONDS]
    first = right[0] if right else None
    return first, [one for one in found if one not in right and one.at <= rolled_back_at]


def sentence(stored: Sequence[Firing], other: Sequence[Firing], rolled_back_at: float | None) -> str:
    """What the other thresholds would have done, compared with what happened."""
    right, false = split(other, rolled_back_at)
    falsely = f"with {len(false)} false rollback{'' if len(false) == 1 else 's'}"
    if rolled_back_at is None:
        return f"this rule would have fired in a phase that held, {falsely}" if false else "it would not have fired"
    was, _ = split(stored, rolled_back_at)
    reference, named = (was.at, "the rule of then") if was else (rolled_back_at, "what happened")
    if right is None:
        return f"this rule would not have fired before the rollback that happened, {falsely}"
    gained = reference - right.at
    if abs(gained) < 0.5:
        return f"this rule would have fired at the same time as {named}, {falsely}"
    when = f"{abs(gained):.0f} s {'earlier' if gained > 0 else 'later'}"
    return f"this rule would have fired {when} than {named}, {falsely}"


def gate(evidence: Sequence[tuple[float, Evidence, Evidence]], *, error_limit: float, slow_limit: float) -> Gate:
    """When errors and slow answers would first have been judged: evidence since the phase began at each moment."""
    told = ""
    for at, errors, slow in evidence:
        judged = [judge(errors, error_limit, "errors"), judge(slow, slow_limit, "slow answers")]
        told = "; ".join(one.sentence for one in judged)
        verdicts = {one.verdict for one in judged}
        if Verdict.FAIL in verdicts:
            return Gate(Verdict.FAIL, at, told)
        if verdicts == {Verdict.PASS}:
            return Gate(Verdict.PASS, at, told)
    return Gate(Verdict.INCONCLUSIVE, None, told or "no evidence is stored")
