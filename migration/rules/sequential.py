"""Wald's sequential test: a gate is looked at all the time, so a fixed-sample interval would lie (DESIGN.md)."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

#: the alternative that the test is run against: a system is good at a tenth of the limit
GOOD_SHARE_OF_LIMIT = 0.1
#: what may be wrong on either side: a little less than the 5 % that is promised, so that the promise holds by
#: construction (Ville's inequality) and a simulation of it stays below 5 % by more than its own chance
ALPHA = 0.049


class Verdict(StrEnum):
    """What a gate says. Only PASS (or a part waived by a setting) opens the next phase."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    WAIVED = "waived"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured: how many requests, and how many of them were bad."""

    requests: int
    bad: int

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(self.requests + other.requests, self.bad + other.bad)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with the sentence an operator reads, and how many more good requests it would take."""

    verdict: Verdict
    sentence: str
    more_needed: int = 0
    #: about how long that takes at today's rate; None where nobody can tell
    about_seconds: float | None = None


def bound_of(alpha: float = ALPHA) -> float:
    """The logarithm of the likelihood ratio that decides, either way (Wald's conservative bound)."""
    return math.log(1 / alpha)


def likelihood_ratio(evidence: Evidence, limit: float, *, good_share: float | None = None) -> float:
    """How much the evidence speaks for `limit`: above the bound the test fails, below minus the bound it passes."""
    good_share = limit * GOOD_SHARE_OF_LIMIT if good_share is None else good_share
    per_good = math.log((1 - limit) / (1 - good_share))
    return evidence.bad * math.log(limit / good_share) + (evidence.requests - evidence.bad) * per_good


def judge(
    evidence: Evidence, limit: float, what: str, alpha: float = ALPHA, *, good_share: float | None = None
) -> Judgement:
    """Is the share of bad requests below `limit` (a share, 0–1)?

    Sequential test of `limit` against `good_share` (a tenth of it), at `alpha` on both sides, with Wald's
    conservative bounds, valid however often it is asked (Wald 1945). With no bad request at all a limit of
    0.1 % takes 3,350 requests. `what` names the bad ones in the sentence, such as "errors".
    """
    good_share = limit * GOOD_SHARE_OF_LIMIT if good_share is None else good_share
    per_good = math.log((1 - limit) / (1 - good_share))
    ratio, bound = likelihood_ratio(evidence, limit, good_share=good_share), bound_of(alpha)
    if evidence.requests == 0:
        more = math.ceil(bound / -per_good)
        return Judgement(Verdict.INCONCLUSIVE, f"no traffic yet: {more:,} requests needed to judge {what}", more)
    counted = f"{evidence.bad:,} {what} in {evidence.requests:,} requests"
    if ratio >= bound:
        return Judgement(Verdict.FAIL, f"{counted}: not below {limit:.1%}")
    if ratio <= -bound:
        return Judgement(Verdict.PASS, f"{counted}: below {limit:.1%}")
    more = math.ceil((ratio + bound) / -per_good)
    return Judgement(Verdict.INCONCLUSIVE, f"{counted}: {more:,} more good ones needed to say below {limit:.1%}", more)


def about(judgement: Judgement, per_second: float | None) -> Judgement:
    """Add about when there will be enough, from how many requests come per second. It promises nothing."""
    if not judgement.more_needed or not per_second:
        return judgement
    seconds = judgement.more_needed / per_second
    told = f"{seconds:,.0f} s" if seconds < 600 else f"{seconds / 60:,.0f} min"
    return replace(judgement, sentence=f"{judgement.sentence}, in about {told}", about_seconds=seconds)
