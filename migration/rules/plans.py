"""What the robots' door is asked to do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from heartbeat.rules.identity import bucket_of, why_no_bucket
from migration.rules.split import BUCKETS_PER_PERCENT, Ownership, Side, canonical, default_side, owner_of

_PHASE = re.compile(r"[a-z0-9_-]{1,64}")


class InvalidPlan(ValueError):
    """A plan that must not reach a proxy: names the field and the reason."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.field = name
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """Who answers which robots, who hears copies, and what may fall over to whom. Raises `InvalidPlan`."""

    #: slug of the phase that this is for
    phase: str
    #: share of the buckets that `new` owns, 0 – 100
    percent: int
    #: whether each system hears a copy of what the other one owns
    shadow: bool
    #: whether `new` is in play: answers for robots that legacy cannot serve, and for those pinned to it
    failover_to_new: bool
    #: whether the v2 protocol is served; refused with 503 otherwise
    accept_v2: bool
    #: canonical robot id → side
    pins: Mapping[str, str] = field(default_factory=dict)
    #: an emergency holds: legacy answers everything until an operator releases it
    latched: bool = False
    #: who answers operators' legacy calls
    operators: Side = Side.LEGACY
    #: canonical id of a robot that a cohort took to `new` → slug of the phase it went over in; a pin wins over it
    cohort: Mapping[str, str] = field(default_factory=dict)
    #: how many robots were known when the cohort was frozen, so that live traffic can be compared
    robots: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.phase, str) or not _PHASE.fullmatch(self.phase):
            raise InvalidPlan("phase", f"{self.phase!r} is no slug")
        if isinstance(self.percent, bool) or not isinstance(self.percent, int) or not 0 <= self.percent <= 100:
            raise InvalidPlan("percent", f"{self.percent!r} is no whole number from 0 to 100")
        for name in ("shadow", "failover_to_new", "accept_v2", "latched"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidPlan(name, f"{getattr(self, name)!r} is neither true nor false")
        object.__setattr__(self, "operators", _side("operators", self.operators))
        object.__setattr__(self, "pins", _checked_pins(self.pins))
        object.__setattr__(self, "cohort", _checked_cohort(self.cohort))
        if isinstance(self.robots, bool) or not isinstance(self.robots, int) or self.robots < 0:
            raise InvalidPlan("robots", f"{self.robots!r} is no count")
        if self.percent and not self.failover_to_new:
            raise InvalidPlan("failover_to_new", f"false, but new owns {self.percent} %: it is in play then")
        if self.latched:
            self._check_latched()

    def _check_latched(self) -> None:
        if self.percent:
            raise InvalidPlan("percent", f"{self.percent} in a latched plan: legacy answers everything")
        for name in ("failover_to_new", "accept_v2"):
            if getattr(self, name):
                raise InvalidPlan(name, "true in a latched plan: legacy answers everything")
        if self.operators is not Side.LEGACY:
            raise InvalidPlan("operators", "new in a latched plan: legacy answers everything")

    @classmethod
    def preparation(cls, phase: str = "preparation") -> "RoutePlan":
        """The door is in, `new` hears nothing and answers nothing."""
        return cls(phase, 0, shadow=False, failover_to_new=False, accept_v2=False)

    @classmethod
    def shadowing(cls, phase: str = "shadow", pins: Mapping[str, str] | None = None) -> "RoutePlan":
        """Legacy owns every robot, `new` hears copies and answers where legacy cannot."""
        return cls(phase, 0, shadow=True, failover_to_new=True, accept_v2=True, pins=pins or {})

    @classmethod
    def split(cls, percent: int, phase: str = "split", pins: Mapping[str, str] | None = None) -> "RoutePlan":
        """`new` owns `percent` of the buckets; at 100 it answers operators too."""
        return cls(
            phase,
            percent,
            shadow=True,
            failover_to_new=True,
            accept_v2=True,
            pins=pins or {},
            operators=default_side(percent),
        )

    @classmethod
    def emergency(cls, phase: str = "shadow") -> "RoutePlan":
        """Legacy answers everything; copies still go to `new`, so that it can be seen to recover."""
        return cls(phase, 0, shadow=True, failover_to_new=False, accept_v2=False, latched=True)

    @property
    def honours_pins(self) -> bool:
        """Whether pins count: not before `new` is in play, and not in an emergency."""
        return self.failover_to_new

    @property
    def members(self) -> Mapping[str, Side]:
        """Every robot that has a side by name: canonical id → side."""
        named: dict[str, Side] = dict.fromkeys(self.cohort, Side.NEW)
        named.update({key: Side(side) for key, side in self.pins.items()})
        return dict(sorted(named.items()))

    @property
    def expected_percent(self) -> float:
        """The share of the fleet that `new` should own, percent: the split and whom cohorts took over beside it."""
        if not (self.robots and self.honours_pins):
            return float(self.percent)
        limit = self.percent * BUCKETS_PER_PERCENT
        beyond = sum(1 for robot_id in self.cohort if (bucket_of(robot_id) or 0) >= limit and robot_id not in self.pins)
        return min(100.0, self.percent + 100 * beyond / self.robots)

    def owner_of(self, robot_id: str) -> Ownership:
        """Return who owns a robot under this plan, and why."""
        if self.honours_pins and self.cohort and (key := canonical(robot_id)) not in self.pins and key in self.cohort:
            return Ownership(Side.NEW, f"it went over with a cohort in {self.cohort[key]}")
        owner = owner_of(robot_id, self.percent, self.pins if self.honours_pins else {})
        if self.latched:
            return Ownership(owner.side, "latched: legacy answers everything")
        return owner

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON knows it; `from_dict` reads it back."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        if not self.cohort:  # as files were before there were cohorts
            del given["cohort"], given["robots"]
        return {**given, "operators": str(self.operators), "pins": {key: str(side) for key, side in self.pins.items()}}

    @classmethod
    def from_dict(cls, given: object) -> "RoutePlan":
        """Read what `to_dict` wrote. Raises `InvalidPlan` for anything else."""
        if not isinstance(given, Mapping):
            raise InvalidPlan("plan", f"{type(given).__name__} is no object")
        known = {each.name for each in fields(cls)}
        for name in sorted(known - set(given) - {"cohort", "robots"}):
            raise InvalidPlan(name, "is missing")
        for name in sorted(set(given) - known, key=str):
            raise InvalidPlan(str(name), "nobody knows this field")
        # A proxy's own JSON has no whole numbers: 25 may come back as 25.0.
        whole = {name: _whole(given[name]) for name in ("percent", "robots") if name in given}
        return cls(**{**given, **whole})


def _whole(number: Any) -> Any:
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _side(name: str, given: object) -> Side:
    try:
        return Side(given)  # type: ignore[arg-type]
    except ValueError:
        raise InvalidPlan(name, f"{given!r} is neither new nor legacy") from None


def _checked_cohort(given: object) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise InvalidPlan("cohort", f"{type(given).__name__} is no object")
    for slug in given.values():
        if not isinstance(slug, str) or not _PHASE.fullmatch(slug):
            raise InvalidPlan("cohort", f"{slug!r} is no slug")
    return dict(sorted((_checked_key("cohort", robot_id), slug) for robot_id, slug in given.items()))


def _checked_pins(given: object) -> dict[str, Side]:
    if not isinstance(given, Mapping):
        raise InvalidPlan("pins", f"{type(given).__name__} is no object")
    pins: dict[str, Side] = {}
    for robot_id, side in given.items():
        key, wanted = _checked_key("pins", robot_id), _side("pins", side)
        if pins.setdefault(key, wanted) is not wanted:
            raise InvalidPlan("pins", f"{key!r} is pinned to both sides")
    return dict(sorted(pins.items()))


def _checked_key(name: str, robot_id: object) -> str:
    """The canonical spelling of a robot that is named in a plan."""
    if not isinstance(robot_id, str):
        raise InvalidPlan(name, f"{robot_id!r} is no robot id")
    if reason := why_no_bucket(robot_id):
        raise InvalidPlan(name, f"{robot_id[:40]!r} cannot be pinned, {reason}")
    try:
        robot_id.encode()
    except UnicodeEncodeError:
        raise InvalidPlan(name, f"{robot_id[:40]!r} cannot be pinned, it holds half a surrogate pair") from None
    return canonical(robot_id)
