"""The gates of a phase: pure functions over evidence, each with a verdict and the sentence an operator reads.

Limits are DESIGN.md's defaults ("Gates"). Time limits arrive already scaled; counts and ages of evidence never are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from migration.rules.sequential import Evidence, Judgement, Verdict, judge

ERROR_LIMIT = 0.001
SLOW_LIMIT = 0.01
SLOW_MILLISECONDS = 100
MIRROR_LIMIT = 0.999
CPU_LIMIT_PERCENT = 80.0
MEMORY_LIMIT_PERCENT = 85.0
CONNECTIONS_LIMIT_PERCENT = 90.0


@dataclass(frozen=True, slots=True)
class ServedByNew:
    """What `new` answered since the phase run began, as owner and as shadow, counted apart."""

    owner: Evidence
    shadow: Evidence
    owner_slow: Evidence
    shadow_slow: Evidence
    #: robots whose bucket moved to `new` and which then fell silent, by name
    silent_after_moving: tuple[str, ...] = ()
    #: robots that moved, and those of them whose own heartbeat `new` has acknowledged
    moved: int = 0
    heard: int = 0
    cpu_percent: float | None = None
    memory_percent: float | None = None
    connections_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """What the latest validation found, and how complete the mirror is in each direction."""

    rows: int
    different: tuple[str, ...]
    compared_at: datetime | None
    to_new_primaries: int
    to_new_copies: int
    to_legacy_primaries: int
    to_legacy_copies: int


@dataclass(frozen=True, slots=True)
class Guard:
    """One process that must make progress, and how long ago it did (seconds, None if never)."""

    name: str
    age_seconds: float | None
    limit_seconds: float

    @property
    def is_alive(self) -> bool:
        """Whether it made progress within its limit."""
        return self.age_seconds is not None and self.age_seconds <= self.limit_seconds


def worst_of(judgements: Sequence[Judgement]) -> Judgement:
    """Return one judgement for a gate made of parts: a failure first, then what is not known, then pass."""
    order = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2, Verdict.WAIVED: 3}
    first = min(judgements, key=lambda judgement: order[judgement.verdict])
    if first.verdict in (Verdict.PASS, Verdict.WAIVED):
        return Judgement(first.verdict, "; ".join(judgement.sentence for judgement in judgements))
    told = [judgement for judgement in judgements if judgement.verdict is first.verdict]
    return Judgement(
        first.verdict,
        "; ".join(judgement.sentence for judgement in told),
        max(judgement.more_needed for judgement in told),
    )


def duration(started_at: datetime, lasts: timedelta, now: datetime) -> Judgement:
    """Has the phase's time passed? `lasts` is already scaled."""
    ends_at = started_at + lasts
    if now >= ends_at:
        return Judgement(Verdict.PASS, f"the phase's time passed {ends_at:%d %b %H:%M:%S} UTC")
    return Judgement(Verdict.INCONCLUSIVE, f"not before {ends_at:%d %b %H:%M:%S} UTC")


def stability(critical_alerts: Sequence[tuple[str, datetime | None]], window: timedelta, now: datetime) -> Judgement:
    """Was there no critical alert within `window`? Alerts come as (sentence, when closed or None while open)."""
    for sentence, closed_at in critical_alerts:
        if closed_at is None:
            return Judgement(Verdict.FAIL, f"open: {sentence}")
        if now - closed_at < window:
            return Judgement(Verdict.INCONCLUSIVE, f"{sentence}: closed {(now - closed_at).total_seconds():.0f} s ago")
    return Judgement(Verdict.PASS, f"no critical alert for {window.total_seconds():,.0f} s")


def alert_pipeline(setting: str) -> Judgement:
    """Is the alert pipeline proven alive? Where none is installed a setting waives this part, visibly."""
    if setting == "waived":
        return Judgement(Verdict.WAIVED, "alert pipeline waived by a setting: none is installed here")
    return Judgement(Verdict.INCONCLUSIVE, "the always-firing alert has not arrived: the alert pipeline is not proven")


def performance(served: ServedByNew) -> Judgement:
    """Is `new` good enough: errors, slow answers, no robot left behind, and room left on its machine?

    Evidence is every request that `new` answered, as owner or as shadow; what it did as owner may veto.
    """
    parts = [
        judge(served.owner + served.shadow, ERROR_LIMIT, "errors"),
        judge(served.owner_slow + served.shadow_slow, SLOW_LIMIT, f"answers slower than {SLOW_MILLISECONDS} ms"),
    ]
    vetoes = (
        judge(served.owner, ERROR_LIMIT, "errors as owner"),
        judge(served.owner_slow, SLOW_LIMIT, f"answers as owner slower than {SLOW_MILLISECONDS} ms"),
    )
    parts += [part for part in vetoes if part.verdict is Verdict.FAIL]
    parts.append(left_behind(served))
    for name, value, limit in (
        ("CPU", served.cpu_percent, CPU_LIMIT_PERCENT),
        ("memory", served.memory_percent, MEMORY_LIMIT_PERCENT),
        ("database connections", served.connections_percent, CONNECTIONS_LIMIT_PERCENT),
    ):
        if value is None:
            parts.append(Judgement(Verdict.INCONCLUSIVE, f"{name} not measured yet"))
        elif value >= limit:
            parts.append(Judgement(Verdict.FAIL, f"{name} at {value:.0f} % of {limit:.0f} %"))
        else:
            parts.append(Judgement(Verdict.PASS, f"{name} at {value:.0f} %"))
    return worst_of(parts)


def left_behind(served: ServedByNew) -> Judgement:
    """Did every robot that moved get its own answer from `new`, and did none fall silent? A mean hides a dead robot."""
    if served.silent_after_moving:
        names = ", ".join(served.silent_after_moving[:5])
        more = len(served.silent_after_moving) - 5
        return Judgement(Verdict.FAIL, f"silent after moving: {names}{f' and {more} more' if more > 0 else ''}")
    if served.heard < served.moved:
        return Judgement(Verdict.INCONCLUSIVE, f"{served.heard:,} of {served.moved:,} moved robots heard")
    return Judgement(Verdict.PASS, f"{served.heard:,} of {served.moved:,} moved robots heard")


def accuracy(compared: Compared, now: datetime, *, fresh: timedelta = timedelta(seconds=60)) -> Judgement:
    """Do both systems hold the same rows, and did each hear the other's heartbeats?"""
    if compared.compared_at is None:
        return Judgement(Verdict.INCONCLUSIVE, "nothing compared yet in this phase")
    if now - compared.compared_at > fresh:
        age = (now - compared.compared_at).total_seconds()
        return Judgement(Verdict.INCONCLUSIVE, f"the latest comparison is {age:.0f} s old")
    if compared.different:
        names = ", ".join(compared.different[:5])
        return Judgement(Verdict.FAIL, f"{len(compared.different)} of {compared.rows:,} rows differ: {names}")
    if compared.rows == 0:
        return Judgement(Verdict.INCONCLUSIVE, "no rows to compare")
    parts = [
        Judgement(Verdict.PASS, f"{compared.rows:,} of {compared.rows:,} rows equal"),
        mirror("new", compared.to_new_primaries, compared.to_new_copies),
        mirror("legacy", compared.to_legacy_primaries, compared.to_legacy_copies),
    ]
    return worst_of(parts)


def mirror(target: str, primaries: int, copies: int) -> Judgement:
    """Did `target` hear what the other system served? Nothing sent is nothing to complain of."""
    if primaries == 0:
        return Judgement(Verdict.PASS, f"nothing to mirror to {target}")
    share = min(copies, primaries) / primaries
    sentence = f"{target} heard {min(copies, primaries):,} of {primaries:,} copies"
    # The copies of the last moments are still on their way: a handful is no evidence of loss.
    if share >= MIRROR_LIMIT or primaries - copies <= 3:
        return Judgement(Verdict.PASS, sentence)
    return Judgement(Verdict.FAIL, sentence)


def monitoring(guards: Sequence[Guard]) -> Judgement:
    """Does everything that guards the migration make progress?"""
    silent = [guard for guard in guards if not guard.is_alive]
    if not silent:
        return Judgement(Verdict.PASS, f"{len(guards)} of {len(guards)} guards make progress")
    told = [
        f"{guard.name} has made no progress" + (f" for {guard.age_seconds:.0f} s" if guard.age_seconds else " yet")
        for guard in silent
    ]
    return Judgement(Verdict.FAIL, "; ".join(told))


def checklist(checks: Sequence[tuple[str, bool, str]]) -> Judgement:
    """Did every automatic check before the migration pass? Checks come as (name, passed, what was found)."""
    failed = [f"{name}: {found}" for name, passed, found in checks if not passed]
    if failed:
        return Judgement(Verdict.FAIL, "; ".join(failed))
    if not checks:
        return Judgement(Verdict.INCONCLUSIVE, "no check has run yet")
    return Judgement(Verdict.PASS, f"{len(checks)} of {len(checks)} checks pass")
