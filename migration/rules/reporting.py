"""Did the migration succeed (DESIGN.md, "Success")? Each criterion judged on what was measured, or inconclusive."""

from collections.abc import Sequence
from dataclasses import dataclass

from migration.rules.sequential import Evidence, Verdict

#: how much the error rate may rise, percentage points, and how many requests of each side it takes to say so
ERROR_POINTS = 0.01
ERROR_REQUESTS = 30_000
#: how much slower a heartbeat's p99 may be on `new`
SLOWER_MILLISECONDS = 10.0
TIMED_REQUESTS = 1_000
#: how much better what was slow has to be, percent
BETTER_PERCENT = 50.0
#: so many silences or sessions, and readings, it takes to say so
FEWEST_LEARNT, FEWEST_READINGS = 5, 20
#: a list that comes sooner than this nobody waits for
SLOW_READING_SECONDS = 0.1
#: copies of the last moments are still on their way
_ON_THEIR_WAY = 3


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion of success: the figure that was measured, the limit it is held against, and the verdict."""

    name: str
    title: str
    verdict: Verdict
    figure: str
    limit: str
    #: why it is inconclusive or failed, or what the figure is made of
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Calls:
    """Robots' calls at the door: how many, how many nobody answered well, and that as time (share × seconds)."""

    calls: int
    failed: int
    down_seconds: float
    #: from when on they were counted, for the reader
    since: str = ""


def downtime(seen: Calls | None) -> Criterion:
    """No unplanned downtime: no robot's call failed. A second in which half of the calls fail is half a second."""
    name, title, limit = "downtime", "No unplanned downtime", "0 s"
    if seen is None or seen.calls == 0:
        return Criterion(name, title, Verdict.INCONCLUSIVE, "–", limit, "no robot's call was counted at the door")
    told = f"{seen.failed:,} of {seen.calls:,} robots' calls failed{f' since {seen.since}' if seen.since else ''}"
    verdict = Verdict.PASS if seen.failed == 0 else Verdict.FAIL
    return Criterion(name, title, verdict, f"{seen.down_seconds:.2f} s", limit, told)


def error_increase(legacy: Evidence, new: Evidence) -> Criterion:
    """The error rate rose by less than 0.01 points, with enough requests on each side to say so."""
    name, title, limit = "error_increase", "Error rate up by less than 0.01 points", f"< {ERROR_POINTS} points"
    counted = f"{legacy.bad:,} of {legacy.requests:,} on legacy, {new.bad:,} of {new.requests:,} on new"
    fewest = min(legacy.requests, new.requests)
    points = _points(legacy, new)
    figure = "–" if points is None else f"{points:+.4f} points"
    if fewest < ERROR_REQUESTS or points is None:
        missing = f"{counted}: {ERROR_REQUESTS:,} on each side are needed, {ERROR_REQUESTS - fewest:,} more"
        return Criterion(name, title, Verdict.INCONCLUSIVE, figure, limit, missing)
    verdict = Verdict.PASS if points < ERROR_POINTS else Verdict.FAIL
    return Criterion(name, title, verdict, figure, limit, counted)


def _points(legacy: Evidence, new: Evidence) -> float | None:
    if not legacy.requests or not new.requests:
        return None
    return 100 * (new.bad / new.requests - legacy.bad / legacy.requests)


def loss(to_new: tuple[int, int], to_legacy: tuple[int, int]) -> Criterion:
    """No heartbeat was lost on its way to the other system: (served, heard there) for each direction."""
    name, title, limit = "loss", "No heartbeat lost", "0"
    if to_new[0] + to_legacy[0] == 0:
        return Criterion(name, title, Verdict.INCONCLUSIVE, "–", limit, "nothing was mirrored yet")
    missing = [max(0, served - heard) for served, heard in (to_new, to_legacy)]
    told = f"new missed {missing[0]:,} of {to_new[0]:,} that legacy served, legacy {missing[1]:,} of {to_legacy[0]:,}"
    if max(missing) <= _ON_THEIR_WAY:
        return Criterion(name, title, Verdict.PASS, f"{sum(missing):,}", limit, f"{told}; the last are on their way")
    filled = "sync fills in the newest state, the gap in the history stays"
    return Criterion(name, title, Verdict.FAIL, f"{sum(missing):,}", limit, f"{told}; {filled}")


def robots_migrated(known: int, on_new: int, names: Sequence[str], reached: bool) -> Criterion:
    """Every robot was answered by `new` as its owner since the whole fleet moved. `names`: some that were not."""
    name, title = "robots", "All robots migrated"
    figure, limit = f"{on_new:,} of {known:,}", "all"
    if not reached or known == 0:
        why = "the fleet has not reached Full 100 %" if known else "no robot was ever heard"
        return Criterion(name, title, Verdict.INCONCLUSIVE, figure if known else "–", limit, why)
    if on_new < known:
        return Criterion(name, title, Verdict.FAIL, figure, limit, f"not yet: {', '.join(names)}")
    return Criterion(name, title, Verdict.PASS, figure, limit)


def heartbeat_latency(legacy: tuple[int, float | None], new: tuple[int, float | None]) -> Criterion:
    """A heartbeat's p99 on `new` is no worse than legacy's + 10 ms: (timed requests, p99 in ms) of each."""
    name, title = "heartbeat_latency", "A heartbeat as fast as before"
    limit = f"legacy's p99 + {SLOWER_MILLISECONDS:.0f} ms"
    (old_count, old), (new_count, now) = legacy, new
    if old is None or now is None or min(old_count, new_count) < TIMED_REQUESTS:
        missing = f"{old_count:,} timed on legacy, {new_count:,} on new: {TIMED_REQUESTS:,} of each are needed"
        return Criterion(name, title, Verdict.INCONCLUSIVE, "–", limit, missing)
    verdict = Verdict.PASS if now <= old + SLOWER_MILLISECONDS else Verdict.FAIL
    told = f"p99 of {old_count:,} requests on legacy, of {new_count:,} on new"
    return Criterion(name, title, verdict, f"{now:.1f} ms, legacy {old:.1f} ms", limit, told)


@dataclass(frozen=True, slots=True)
class Pairs:
    """The same things learnt by both systems: medians in seconds, and how many of them.

    Legacy's times are lower bounds; `unsaid` of them legacy had not said when it was over, or does not say yet.
    """

    count: int = 0
    legacy: float | None = None
    new: float | None = None
    unsaid: int = 0
    #: left out: legacy said so before it was so
    said_before: int = 0


def better(name: str, title: str, pairs: Pairs, *, fewest: int, what: str, slow_from: float = 0.0) -> Criterion:
    """What was slow is more than 50 % better. `slow_from`: what takes legacy less was not slow, and is waived.

    As legacy's times are lower bounds, a pass holds whatever they are, and what is too little yet is inconclusive.
    """
    limit = f"> {BETTER_PERCENT:.0f} % less than legacy"
    counted = f"medians of {pairs.count:,} {what}"
    if pairs.unsaid:
        counted += f", {pairs.unsaid:,} of which legacy did not say while they were so"
    if pairs.said_before:
        counted += f"; {pairs.said_before:,} that legacy had said before they were so are left out"
    if pairs.count < fewest or pairs.legacy is None or pairs.new is None:
        figure = f"{_time(pairs.new)} on new" if pairs.new is not None else "–"
        return Criterion(name, title, Verdict.INCONCLUSIVE, figure, limit, f"{counted}: {fewest} are needed")
    least = "≥ " if pairs.unsaid else ""
    figure = f"{_time(pairs.new)}, legacy {least}{_time(pairs.legacy)}"
    if pairs.legacy < slow_from and not pairs.unsaid:
        told = f"{counted}; what takes legacy less than {_time(slow_from)} was not slow, so nothing is to be better"
        return Criterion(name, title, Verdict.WAIVED, figure, limit, told)
    gained = 100 * (1 - pairs.new / pairs.legacy) if pairs.legacy > 0 else 0.0
    if gained > BETTER_PERCENT:
        return Criterion(name, title, Verdict.PASS, f"{figure} ({gained:.0f} % less)", limit, counted)
    verdict = Verdict.INCONCLUSIVE if pairs.unsaid else Verdict.FAIL
    return Criterion(name, title, verdict, f"{figure} ({gained:.0f} % less)", limit, counted)


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:.0f} s"


def stated(name: str, title: str, limit: str, found: tuple[bool, str] | None, missing: str) -> Criterion:
    """What another part states as (held, what was found), or None with why it cannot."""
    if found is None:
        return Criterion(name, title, Verdict.INCONCLUSIVE, "–", limit, missing)
    held, told = found
    return Criterion(name, title, Verdict.PASS if held else Verdict.FAIL, told, limit)


def verdict_of(criteria: Sequence[Criterion]) -> Verdict:
    """The migration as a whole: failed if one criterion is, inconclusive while one is."""
    verdicts = {criterion.verdict for criterion in criteria}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts or not criteria else Verdict.PASS
