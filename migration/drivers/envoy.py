"""The proxies: what they run, what they count, and whether robots are where the plan says. Standard library only."""

import http.client
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from migration.drivers import admin, statistics
from migration.drivers.admin import TIMEOUT_SECONDS, NoAnswer, address_of
from migration.drivers.errors import BadProxies
from migration.drivers.route_file import Routed
from migration.drivers.statistics import Counters
from migration.rules.routes import FILTER, PROBE, ROUTES
from migration.rules.split import Side

#: ids that are asked of each proxy; DESIGN.md wants at least 60
PROBE_IDS = tuple(f"probe-{number:03d}" for number in range(80))
#: of the robots that a plan names, so many are probed beside them, spread over the list
NAMED_PROBES = 20
_PROBE_CONNECTIONS = 4
_POLL_SECONDS = 0.005
_PROXY = re.compile(r"\s*([^=\s]+)\s*=\s*(https?://[^|\s]+?)/?\s*\|\s*(https?://[^|\s]+?)/?\s*")
_STAT = re.compile(r'\.(version_text|update_rejected|update_failure|config_fail): "?([^"\n]*)"?')

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Whether a proxy runs a route, and if not, why."""

    proxy: str
    version: int
    #: from the question to the acknowledgement; None if it does not run it
    seconds: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What the probes of one proxy said."""

    asked: int
    as_predicted: int
    #: a sentence for each id that is not where it should be, or was not answered
    wrong: list[str] = field(default_factory=list)
    #: those of them that were not answered at all
    unanswered: list[str] = field(default_factory=list)
    #: a newer route answered one of them: the one that was asked about does not come back
    is_overtaken: bool = False

    @property
    def is_right(self) -> bool:
        """Every probe was answered, and as predicted. No answer is no confirmation."""
        return self.asked > 0 and self.as_predicted == self.asked


@dataclass(frozen=True, slots=True)
class Observation:
    """What all proxies said to a route: `late` names who does not run it, or disobeys."""

    version: int
    #: seconds by proxy
    acknowledged: Mapping[str, float]
    late: list[str]
    acknowledged_seconds: float | None
    observed_seconds: float | None

    @property
    def is_observed(self) -> bool:
        """Every proxy runs it and every probe obeyed."""
        return not self.late and self.observed_seconds is not None


@dataclass(frozen=True, slots=True)
class Proxy:
    """One Envoy, by its admin interface and its robots' door."""

    name: str
    admin_url: str
    door_url: str

    def running_version(self) -> int | None:
        """The version of the route that it runs; None if it does not answer or runs none of ours."""
        try:
            return self._state(f"rds.{ROUTES}.").version
        except NoAnswer:
            return None

    def filter_version(self) -> int | None:
        """The version of the filter with the pins that it runs; None if it does not answer or runs none of ours."""
        try:
            return self._state(f"extension_config_discovery.http_filter.{FILTER}.").version
        except NoAnswer:
            return None

    def wait_for(self, version: int, deadline_seconds: float, filter_version: int | None = None) -> Acknowledgement:
        """Wait until it runs a route, and that filter if one is named.

        One that is being restarted is waited for; one that accepts and never answers costs its time-out, not the
        deadline.
        """
        began = time.monotonic()
        deadline = began + deadline_seconds
        reason, answered = f"was not asked: the deadline is {deadline_seconds:g} s", False
        while (left := deadline - time.monotonic()) > 0:
            try:
                state = self._state(f"rds.{ROUTES}.", min(left, TIMEOUT_SECONDS))
                if state.version == version:
                    state = self._filter_state(filter_version, left)
                    if filter_version is None or state.version == filter_version:
                        return Acknowledgement(self.name, version, time.monotonic() - began)
                reason, answered = state.sentence, True
            except NoAnswer as error:
                # The last try may have a millisecond left; what the proxy said before tells more.
                if not (error.is_timeout and answered):
                    reason = str(error)
                if error.is_timeout:
                    break
            time.sleep(_POLL_SECONDS)
        return Acknowledgement(self.name, version, None, reason)

    def probe(self, ids: Iterable[str], expected: Mapping[str, Side], version: int | None = None) -> ProbeResult:
        """Ask the door on which side each id is. No system hears of it.

        With `version` an answer given by another route is wrong, too.
        """
        queue = list(ids)

        def ask(mine: list[str]) -> ProbeResult:
            return _ask(self, mine, expected, version)

        parts = [part for start in range(_PROBE_CONNECTIONS) if (part := queue[start::_PROBE_CONNECTIONS])]
        answers = side_by_side(ask, parts)
        return ProbeResult(
            len(queue),
            sum(each.as_predicted for each in answers),
            [sentence for each in answers for sentence in each.wrong],
            [robot_id for each in answers for robot_id in each.unanswered],
            any(each.is_overtaken for each in answers),
        )

    def counters(self) -> Counters:
        """What it counted since it was started. Raises `NoAnswer`."""
        return statistics.read(admin.get(self.admin_url, statistics.PATH))

    def _filter_state(self, filter_version: int | None, left: float) -> "_State":
        if filter_version is None:
            return _State("filter", None, 0)
        return self._state(f"extension_config_discovery.http_filter.{FILTER}.", min(left, TIMEOUT_SECONDS))

    def _state(self, prefix: str, timeout_seconds: float = TIMEOUT_SECONDS) -> "_State":
        found = dict(_STAT.findall(admin.get(self.admin_url, f"/stats?filter={prefix}", timeout_seconds)))
        text = found.pop("version_text", "")
        what = "route" if prefix.startswith("rds") else "filter"
        return _State(what, int(text) if text.isdecimal() else None, sum(int(count) for count in found.values()))


@dataclass(frozen=True, slots=True)
class _State:
    what: str
    version: int | None
    refused: int

    @property
    def sentence(self) -> str:
        refused = f", and refused {self.refused} since it was started" if self.refused else ""
        return f"runs {self.what} {self.version}{refused}" if self.version else f"runs no {self.what} of ours{refused}"


def parse_proxies(entries: Iterable[str]) -> list[Proxy]:
    """Read `name=admin-url|door-url` entries. Raises `BadProxies` for one that is not, or a name given twice."""
    proxies: dict[str, Proxy] = {}
    for entry in entries:
        found = _PROXY.fullmatch(entry)
        if not found or found[1] in proxies:
            raise BadProxies(entry)
        proxies[found[1]] = Proxy(found[1], found[2], found[3])
    return list(proxies.values())


def wait_for_all(
    proxies: Sequence[Proxy], version: int, deadline_seconds: float, filter_version: int | None = None
) -> list[Acknowledgement]:
    """Wait for all proxies side by side: one that is dead delays nobody. Answers in the order of `proxies`."""
    return side_by_side(lambda proxy: proxy.wait_for(version, deadline_seconds, filter_version), proxies)


def observe(
    proxies: Sequence[Proxy], routed: Routed, deadline_seconds: float, ids: Sequence[str] = PROBE_IDS
) -> Observation:
    """Wait until every proxy runs a route and every probe id is where its plan says, at most the deadline for both.

    Workers take a route a moment after the main thread acknowledged it, so probes are repeated until they agree: all of
    them after a wrong answer, only those without one while a busy proxy was silent.
    """
    began = time.monotonic()
    deadline = began + deadline_seconds
    named = routed.plan.members if routed.plan.honours_pins else {}
    filter_version = routed.filter_version if named else None
    asked = (*ids, *list(named)[:: max(1, len(named) // NAMED_PROBES)][:NAMED_PROBES])
    answers = wait_for_all(proxies, routed.version, deadline_seconds, filter_version)
    acknowledged = {answer.proxy: answer.seconds for answer in answers if answer.seconds is not None}
    late = [f"{answer.proxy}: {answer.reason}" for answer in answers if answer.seconds is None]
    acknowledged_seconds = time.monotonic() - began if not late else None
    running = [proxy for proxy in proxies if proxy.name in acknowledged]
    expected = {robot_id: routed.plan.owner_of(robot_id).side for robot_id in asked}

    def until_right(proxy: Proxy) -> str | None:
        left: Sequence[str] = asked
        while not (result := proxy.probe(left, expected, routed.version)).is_right:
            if result.is_overtaken or time.monotonic() >= deadline:
                missed = len(result.wrong)
                return f"{proxy.name}: {missed} of {len(asked)} probes are wrong, the first: {result.wrong[0]}"
            left = result.unanswered if len(result.unanswered) == len(result.wrong) else asked
            time.sleep(_POLL_SECONDS)
        return None

    disobeyed = [sentence for sentence in side_by_side(until_right, running) if sentence]
    observed = bool(running) and not late and not disobeyed
    return Observation(
        version=routed.version,
        acknowledged=acknowledged,
        late=late + disobeyed,
        acknowledged_seconds=acknowledged_seconds,
        observed_seconds=time.monotonic() - began if observed else None,
    )


def side_by_side(work: "Callable[[Any], T]", items: Sequence[Any]) -> list[T]:
    """Do the same for each item, each in a thread of its own; results in the order of the items."""
    if len(items) <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(work, items))


def _ask(proxy: Proxy, ids: Sequence[str], expected: Mapping[str, Side], version: int | None) -> ProbeResult:
    """Ask over one kept connection. The first silence ends it."""
    wrong: list[str] = []
    silent: list[str] = []
    is_overtaken = False
    connection = http.client.HTTPConnection(*address_of(proxy.door_url), timeout=TIMEOUT_SECONDS)
    try:
        for place, robot_id in enumerate(ids):
            try:
                connection.request("GET", PROBE, headers={"x-robot-id": robot_id.encode()})
                answer = json.loads(connection.getresponse().read())
                side, by = answer["side"], answer["version"]
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
                told = f"no answer from {proxy.door_url} ({error or type(error).__name__})"
                silent = list(ids[place:])
                wrong += [f"{missed}: {told}" for missed in silent]
                break
            if side != expected[robot_id]:
                wrong.append(f"{robot_id} is on {side}, not on {expected[robot_id]}")
            elif version is not None and by != version:
                wrong.append(f"{robot_id} was answered by route {by}, not {version}")
            is_overtaken = is_overtaken or (version is not None and by > version)
    finally:
        connection.close()
    return ProbeResult(len(ids), len(ids) - len(wrong), wrong, silent, is_overtaken)
