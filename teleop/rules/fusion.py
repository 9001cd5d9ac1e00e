"""What all findings say together: whether somebody drives, how sure that is, who, and through what."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from teleop.rules.finding import Finding
from teleop.rules.signals import Driver

#: begins at, and ends below: between them what was stays so
BEGINS, ENDS = 0.9, 0.3
#: more than this in log-odds is no more certain, and must not hide what contradicts it
_MOST = 12.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`operated`: None when the signals do not allow an answer. `confidence` is in that answer, 0.5 to 1.

    `since` and `until`: between them commands certainly flowed. `gone`: whoever drove has certainly left.
    """

    operated: bool | None
    confidence: float
    host: bool | None
    driver: Driver
    since: float | None
    until: float | None
    gone: bool
    findings: tuple[Finding, ...]

    @property
    def evidence(self) -> list[dict[str, object]]:
        """The findings, the weightiest first, as they are kept with a transition."""
        ordered = sorted(self.findings, key=lambda each: -abs(each.operated or 0.0))
        return [{"signal": each.signal, "weight": each.operated, "because": each.because} for each in ordered]

    @property
    def because(self) -> str:
        """The weightiest sentence for the answer."""
        sign = -1 if self.operated is False else 1
        said = [each for each in self.findings if each.operated is not None and each.operated * sign > 0]
        if said:
            return max(said, key=lambda each: abs(each.operated or 0.0)).because
        hosts = [each for each in self.findings if each.host is not None]
        return max(hosts, key=lambda each: each.host_weight).because if hosts else "it says nothing about operation"


def fuse(findings: Sequence[Finding], was_operated: bool | None) -> Verdict:
    """Add up the weights, as independent evidence adds up in log-odds; no evidence at all is no answer.

    `was_operated` is what held before: a probability between ENDS and BEGINS leaves it so (hysteresis).
    """
    weights = [each.operated for each in findings if each.operated is not None]
    total = max(-_MOST, min(_MOST, sum(weights)))
    probability = 1 / (1 + math.exp(-total))
    operated: bool | None = None
    if weights:
        if probability >= BEGINS:
            operated = True
        elif probability < ENDS:
            operated = False
        else:
            operated = was_operated
    timed = [each for each in findings if each.operated is not None]
    since = max((each.since for each in timed if each.since is not None), default=None)
    return Verdict(
        operated=operated,
        confidence=max(probability, 1 - probability),
        host=_strongest_host(findings),
        driver=_driver(findings),
        since=since,
        until=_until(timed),
        gone=any(each.gone for each in findings),
        findings=tuple(findings),
    )


def _until(timed: Sequence[Finding]) -> float | None:
    """The latest command by the weightiest finding that knows it: data on a port may have been no valid command."""
    known = [(abs(each.operated or 0.0), each.until) for each in timed if each.until is not None]
    return max(known)[1] if known else None


def _strongest_host(findings: Sequence[Finding]) -> bool | None:
    said = [(each.host_weight, each.host) for each in findings if each.host is not None]
    return max(said)[1] if said else None


def _driver(findings: Sequence[Finding]) -> Driver:
    said = [(each.driver_weight, each.driver) for each in findings if each.driver is not None]
    return max(said)[1] if said else Driver.UNKNOWN
