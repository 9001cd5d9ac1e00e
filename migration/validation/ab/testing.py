"""Use case: the A/B test. Both systems are asked the same; bodies and latencies are compared."""

import random
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from migration.clock import system_clock
from migration.rules.noise import BodyDifference, Noise, differences
from migration.rules.sequential import Verdict
from migration.rules.tails import Limits, Tails, compare
from migration.validation.ab.asking import Answer, Asked
from migration.validation.ab.calls import Call, scenario, without_effects
from migration.validation.ab.scratch import Scratch

log = structlog.get_logger(__name__)

Progress = Callable[[str, int, int], None]
#: as many scenarios with effects, each with robots of its own
SCENARIOS = 5


@dataclass(slots=True)
class Part:
    """What one part compared: the calls without effects, or those with."""

    name: str
    calls: int = 0
    failures: list[str] = field(default_factory=list)
    different: list[tuple[str, BodyDifference]] = field(default_factory=list)
    tolerated: Counter[str] = field(default_factory=Counter)
    noise: dict[str, list[str]] = field(default_factory=dict)
    #: milliseconds by sort of call, in the order they were measured
    legacy: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    new: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    #: why it did not run
    not_run: str = ""

    @property
    def verdict(self) -> Verdict:
        """Of the bodies: no call may differ. A part that did not run says nothing."""
        if self.failures or self.different:
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if self.not_run or not self.calls else Verdict.PASS


@dataclass(frozen=True, slots=True)
class Result:
    """Everything the report tells."""

    at: datetime
    seed: int
    parts: tuple[Part, ...]
    latency: Tails
    #: legacy's second answers against its first: what the same verdict says where nothing differs
    control: Tails
    legacy_milliseconds: tuple[float, ...]
    new_milliseconds: tuple[float, ...]

    @property
    def verdict(self) -> Verdict:
        """A failure first, then what is not known."""
        verdicts = [self.latency.verdict, *(part.verdict for part in self.parts)]
        order = [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS]
        return min(verdicts, key=order.index)


def run(
    legacy_url: str,
    new_url: str,
    *,
    iterations: int,
    scratch: Scratch,
    seed: int | None = None,
    limits: Limits | None = None,
    progress: Progress = lambda what, done, of: None,
) -> Result:
    """Run both parts. Raises `Unreadable` when a system cannot be asked at all."""
    seed = secrets.randbits(32) if seed is None else seed
    at = system_clock().now()
    legacy, new = Asked("legacy", legacy_url), Asked("new", new_url)
    second: list[float] = []
    try:
        live = _live(legacy, new, iterations=iterations, seed=seed, second=second, progress=progress)
    finally:
        legacy.close()
        new.close()
    changing = _changing(scratch, progress)
    ours, theirs = (tuple(value for values in side.values() for value in values) for side in (live.legacy, live.new))
    latency, control = compare(ours, theirs, limits), compare(ours, second, limits)
    result = Result(at, seed, (live, changing), latency, control, ours, theirs)
    log.info(
        "ab_test.done", verdict=result.verdict.value, iterations=iterations, latency=latency.verdict.value, seed=seed
    )
    return result


def _live(legacy: Asked, new: Asked, *, iterations: int, seed: int, second: list[float], progress: Progress) -> Part:
    """Legacy, `new`, legacy again: what changed meanwhile is no difference, and legacy's noise is learnt."""
    part, noise = Part("Calls without effects, on the live systems"), Noise()
    rows, deployments = (legacy.ask(Call("", "GET", path)).body for path in ("/api/robots", "/api/deployments"))
    swaps = random.Random(seed + 1)
    #: legacy's latest answer to each call, from an earlier round
    earlier: dict[str, Any] = {}
    found: list[tuple[str, BodyDifference]] = []
    for number, call in enumerate(without_effects(rows, deployments, iterations, seed)):
        first = legacy.ask(call)
        answer = new.ask(call)
        after = legacy.ask(call)
        # Which of legacy's two answers is timed is drawn: the second of two finds the caches warm.
        timed, other = (first, after) if swaps.random() < 0.5 else (after, first)
        part.legacy[call.name].append(timed.milliseconds)
        part.new[call.name].append(answer.milliseconds)
        second.append(other.milliseconds)
        noise.learn(first.body, after.body)
        if call.path in earlier:
            noise.learn(earlier[call.path], first.body)
        earlier[call.path] = after.body
        found += _compared(part, call, first, answer, after)
        part.calls += 1
        progress("calls without effects", number + 1, iterations)
    _settle(part, noise, found)
    return part


def _changing(scratch: Scratch, progress: Progress) -> Part:
    """The same scenarios on scratch copies: twice on legacy's, where noise is learnt, and once on that of `new`."""
    part, noise = Part("Calls with effects, on scratch copies"), Noise()
    with scratch as urls:
        if urls is None:
            part.not_run = scratch.why_not
            return part
        legacy, new = Asked("the scratch legacy", urls[0]), Asked("the scratch new", urls[1])
        rows = legacy.ask(Call("", "GET", "/api/deployments")).body
        versions = [row["version"] for row in rows] or ["v1.0.0"]
        found: list[tuple[str, BodyDifference]] = []
        for number in range(SCENARIOS):
            robot = f"ab-test-{number}"
            once, twice, theirs = (
                [(call, asked.ask(call)) for call in scenario(robot, versions)] for asked in (legacy, legacy, new)
            )
            for (call, first), (_, again), (_, answer) in zip(once, twice, theirs, strict=True):
                noise.learn(first.body, again.body)
                part.legacy[call.name].append(first.milliseconds)
                part.new[call.name].append(answer.milliseconds)
                found += _compared(part, call, first, answer, again)
                part.calls += 1
            progress("calls with effects", number + 1, SCENARIOS)
        legacy.close()
        new.close()
    _settle(part, noise, found)
    return part


def _compared(
    part: Part, call: Call, first: Answer, answer: Answer, after: Answer
) -> Iterable[tuple[str, BodyDifference]]:
    told = [(one.status, one.content_type) for one in (first, answer, after)]
    if told[1] not in (told[0], told[2]):
        part.failures.append(f"{call.method} {call.path}: legacy {told[0]}, new {told[1]}")
        return []
    return [(f"{call.method} {call.path}", one) for one in differences(first.body, answer.body, after.body)]


def _settle(part: Part, noise: Noise, found: Iterable[tuple[str, BodyDifference]]) -> None:
    """Judged at the end, when all that legacy varies in is known."""
    for call, difference in found:
        if noise.allows(difference):
            part.tolerated[difference.place] += 1
        else:
            part.different.append((call, difference))
    part.noise = {place: sorted(types) for place, types in sorted(noise.types.items())}
