"""The gates of a phase: pure functions over evidence, each with a verdict and the sentence an operator reads.

Limits are DESIGN.md's defaults ("Gates"). Time limits arrive already scaled; counts and ages of evidence never are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from migration.rules.sequential import Evidence, Judgement, Verdict, about, judge
from migration.rules.settings import PhaseSettings, settings_of

#: DESIGN.md's numbers, for a phase where nobody set others
DEFAULTS = settings_of("canary_10")
ERROR_LIMIT = DEFAULTS.error_limit_percent / 100
#: an edge of the proxies' histograms
SLOW_MILLISECONDS = 100
MIRROR_LIMIT = DEFAULTS.mirror_limit_percent / 100
CPU_LIMIT_PERCENT = DEFAULTS.cpu_limit_percent
MEMORY_LIMIT_PERCENT = DEFAULTS.memory_limit_percent
CONNECTIONS_LIMIT_PERCENT = DEFAULTS.connections_limit_percent


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
    #: how fast evidence comes, to say about when there is enough of it; None: not measured
    requests_per_second: float | None = None
    #: answers of `new` by whether they took longer than legacy's p99 and what is allowed beside it (milliseconds)
    slower_than_legacy: Evidence | None = None
    legacy_limit_ms: float | None = None
    #: age of the newest sample: an evaluation that was cut short is no evidence of anything; None: there is none
    sampled_age_seconds: float | None = None


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
    #: age of the oldest change that sync has not carried over yet, seconds; None: nobody measures it
    lag_forward_seconds: float | None = None
    lag_reverse_seconds: float | None = None
    #: the split, percent: which mirror must have heard something
    percent: int = 0
    #: robots that tell of operation and are recorded as they say, of how many; who is not, by name
    operation_judged: int = 0
    operation_agreeing: int = 0
    operation_different: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proof:
    """What somebody proved, such as a backup that was restored and compared; `at` is when."""

    passed: bool
    sentence: str
    at: datetime | None = None


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
        max((one.about_seconds for one in told if one.about_seconds is not None), default=None),
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


def alert_pipeline(setting: str, age_seconds: float | None = None, limit_seconds: float = 60.0) -> Judgement:
    """Is the alert pipeline proven alive? Where none is installed a setting waives this part, visibly.

    `age_seconds` is how long ago the always-firing alert arrived, None if never.
    """
    if setting == "waived":
        return Judgement(Verdict.WAIVED, "alert pipeline waived by a setting: none is installed here")
    if age_seconds is not None and age_seconds <= limit_seconds:
        return Judgement(Verdict.PASS, f"the always-firing alert arrived {age_seconds:.0f} s ago")
    if age_seconds is not None:
        told = f"the always-firing alert arrived {age_seconds:,.0f} s ago, more than {limit_seconds:.0f} s"
        return Judgement(Verdict.INCONCLUSIVE, f"{told}: no alert is no evidence now")
    return Judgement(Verdict.INCONCLUSIVE, "the always-firing alert has not arrived: the alert pipeline is not proven")


#: parts whose failure is final for a build and its settings (DESIGN.md, "The gate's statistics")
SEQUENTIAL = ("errors", "slow", "errors_as_owner", "slow_as_owner")
#: a sample comes every second; older than this the watchdog was cut short
SAMPLE_FRESH_SECONDS = 10.0


def performance(served: ServedByNew, limits: PhaseSettings = DEFAULTS) -> Judgement:
    """Is `new` good enough: errors, slow answers, no robot left behind, and room left on its machine?"""
    return worst_of(list(performance_parts(served, limits).values()))


def performance_parts(served: ServedByNew, limits: PhaseSettings = DEFAULTS) -> dict[str, Judgement]:
    """Judge each part of Performance, by name.

    Evidence is every request that `new` answered, as owner or as shadow; what it did as owner may veto.
    """
    errors, slow = limits.error_limit_percent / 100, limits.slow_limit_percent / 100
    slower = f"slower than {SLOW_MILLISECONDS} ms"
    parts = {
        "errors": judge(served.owner + served.shadow, errors, "errors"),
        "slow": judge(served.owner_slow + served.shadow_slow, slow, f"answers {slower}"),
    }
    vetoes = {
        "errors_as_owner": judge(served.owner, errors, "errors as owner"),
        "slow_as_owner": judge(served.owner_slow, slow, f"answers as owner {slower}"),
    }
    parts |= {name: part for name, part in vetoes.items() if part.verdict is Verdict.FAIL}
    parts = {name: about(part, served.requests_per_second) for name, part in parts.items()}
    parts["against_legacy"] = against_legacy(served)
    parts["left_behind"] = left_behind(served)
    for name, label, value, limit in (
        ("cpu", "CPU", served.cpu_percent, limits.cpu_limit_percent),
        ("memory", "memory", served.memory_percent, limits.memory_limit_percent),
        ("connections", "database connections", served.connections_percent, limits.connections_limit_percent),
    ):
        parts[name] = _room(label, value, limit)
    if served.sampled_age_seconds is not None and served.sampled_age_seconds > SAMPLE_FRESH_SECONDS:
        age = f"the newest sample is {served.sampled_age_seconds:.0f} s old: the evaluation was cut short"
        parts["sampling"] = Judgement(Verdict.INCONCLUSIVE, age)
    return parts


def _room(label: str, value: float | None, limit: float) -> Judgement:
    if value is None:
        return Judgement(Verdict.INCONCLUSIVE, f"{label} not measured yet")
    if value >= limit:
        return Judgement(Verdict.FAIL, f"{label} at {value:.0f} % of {limit:.0f} %")
    return Judgement(Verdict.PASS, f"{label} at {value:.0f} %")


#: a system whose slowest hundredth is like legacy's has 1 % beyond legacy's p99; 3 % is a worse tail
AS_SLOW, SLOWER = 0.01, 0.03


def against_legacy(served: ServedByNew) -> Judgement:
    """Is the tail of `new` no worse than legacy's, with what is allowed beside it? By quantiles, not by ranks."""
    if served.slower_than_legacy is None or served.legacy_limit_ms is None:
        return Judgement(Verdict.INCONCLUSIVE, "legacy's own latency is not known yet")
    what = f"answers slower than legacy's p99 and what is allowed beside it ({served.legacy_limit_ms:g} ms)"
    return about(judge(served.slower_than_legacy, SLOWER, what, good_share=AS_SLOW), served.requests_per_second)


def left_behind(served: ServedByNew) -> Judgement:
    """Did every robot that moved get its own answer from `new`, and did none fall silent? A mean hides a dead robot."""
    if served.silent_after_moving:
        names = ", ".join(served.silent_after_moving[:5])
        more = len(served.silent_after_moving) - 5
        return Judgement(Verdict.FAIL, f"silent after moving: {names}{f' and {more} more' if more > 0 else ''}")
    if served.heard < served.moved:
        return Judgement(Verdict.INCONCLUSIVE, f"{served.heard:,} of {served.moved:,} moved robots heard")
    return Judgement(Verdict.PASS, f"{served.heard:,} of {served.moved:,} moved robots heard")


def accuracy(
    compared: Compared,
    now: datetime,
    limits: PhaseSettings = DEFAULTS,
    *,
    fresh: timedelta = timedelta(seconds=60),
) -> Judgement:
    """Do both systems hold the same rows, did each hear the other's heartbeats, and does sync keep up?"""
    return worst_of(list(accuracy_parts(compared, now, limits, fresh=fresh).values()))


def accuracy_parts(
    compared: Compared, now: datetime, limits: PhaseSettings = DEFAULTS, *, fresh: timedelta = timedelta(seconds=60)
) -> dict[str, Judgement]:
    """Judge each part of Accuracy, by name."""
    complete = limits.mirror_limit_percent / 100
    return {
        "rows": _rows(compared, now, fresh),
        "mirror_to_new": mirror(
            "new", compared.to_new_primaries, compared.to_new_copies, complete, expected=compared.percent < 100
        ),
        "mirror_to_legacy": mirror(
            "legacy", compared.to_legacy_primaries, compared.to_legacy_copies, complete, expected=compared.percent > 0
        ),
        "lag_forward": lag("legacy → new", compared.lag_forward_seconds, limits.lag_forward_limit_seconds),
        "lag_reverse": lag("new → legacy", compared.lag_reverse_seconds, limits.lag_reverse_limit_seconds),
        "teleop": operation(compared),
    }


def operation(compared: Compared) -> Judgement:
    """Is operation known right of every robot that tells of it? Where none does there is nothing to be wrong about."""
    if not compared.operation_judged:
        return Judgement(Verdict.PASS, "no robot tells of operation")
    if compared.operation_agreeing < compared.operation_judged:
        wrong = compared.operation_judged - compared.operation_agreeing
        names = ", ".join(compared.operation_different[:5])
        return Judgement(
            Verdict.FAIL, f"operation of {wrong} of {compared.operation_judged:,} robots is wrong: {names}"
        )
    return Judgement(Verdict.PASS, f"operation of {compared.operation_judged:,} robots is known right")


def _rows(compared: Compared, now: datetime, fresh: timedelta) -> Judgement:
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
    return Judgement(Verdict.PASS, f"{compared.rows:,} of {compared.rows:,} rows equal")


def lag(direction: str, seconds: float | None, limit_seconds: float) -> Judgement:
    """Does sync keep up? `seconds` is the age of the oldest change that it has not carried over."""
    if seconds is None:
        return Judgement(Verdict.INCONCLUSIVE, f"lag {direction} is not measured")
    sentence = f"lag {direction} {seconds:.1f} s of {limit_seconds:g} s"
    return Judgement(Verdict.PASS if seconds <= limit_seconds else Verdict.FAIL, sentence)


def mirror(
    target: str, primaries: int, copies: int, complete: float = MIRROR_LIMIT, *, expected: bool = False
) -> Judgement:
    """Did `target` hear what the other system served? Where traffic is `expected`, none is neither good nor bad."""
    if primaries == 0:
        if expected:
            return Judgement(Verdict.INCONCLUSIVE, f"no traffic yet that {target} should hear copies of")
        return Judgement(Verdict.PASS, f"nothing to mirror to {target}")
    share = min(copies, primaries) / primaries
    sentence = f"{target} heard {min(copies, primaries):,} of {primaries:,} copies"
    # The copies of the last moments are still on their way: a handful is no evidence of loss.
    if share >= complete or primaries - copies <= 3:
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
