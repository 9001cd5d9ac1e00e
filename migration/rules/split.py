"""Which system owns a robot, and why: the same answer as the door's filter (`compose/envoy/filter.lua`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from heartbeat.rules.identity import BUCKETS, bucket_of, exact_bytes, why_no_bucket

BUCKETS_PER_PERCENT = BUCKETS // 100


class Side(StrEnum):
    """The two systems."""

    NEW = "new"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who owns a robot, and the sentence that says why."""

    side: Side
    reason: str


def key_of(robot_id: str) -> bytes:
    """Return the bytes that two spellings of one robot share.

    The *bytes* are lowered: `str.lower()` would differ from the door for `É` and the Kelvin sign. A lone surrogate,
    which JSON may hold, is its three bytes, as the door's filter sees it.
    """
    return exact_bytes(robot_id).lower()


def canonical(robot_id: str) -> str:
    """Return the spelling under which a robot is pinned: ASCII letters lowered, nothing else changed."""
    return key_of(robot_id).decode("utf-8", "surrogatepass")


def default_side(percent: int) -> Side:
    """Return the side of what has no bucket: legacy until everything has moved."""
    return Side.NEW if percent >= 100 else Side.LEGACY


def side_of(bucket: int | None, pin: str | None, percent: int) -> Side:
    """Return the side of a robot with this bucket and pin at a split of `percent` (0 – 100) to `new`."""
    if pin is not None and bucket is not None:
        return Side(pin)
    if bucket is None:
        return default_side(percent)
    return Side.NEW if bucket < percent * BUCKETS_PER_PERCENT else Side.LEGACY


def owner_of(robot_id: str, plan_percent: int, pins: Mapping[str, str]) -> Ownership:
    """Return who owns a robot at a split of `plan_percent`, and why. `pins` maps canonical ids to sides.

    `RoutePlan.owner_of` leaves out the pins where the plan does: latched, or before `new` is in play.
    """
    bucket, pin = bucket_of(robot_id), pins.get(canonical(robot_id))
    side = side_of(bucket, pin, plan_percent)
    if bucket is None:
        return Ownership(side, f"no bucket ({why_no_bucket(robot_id)}): the default side, {side}")
    if pin is not None:
        return Ownership(side, f"pinned to {side}")
    limit = plan_percent * BUCKETS_PER_PERCENT
    place = "below" if side is Side.NEW else "not below"
    return Ownership(side, f"bucket {bucket} is {place} {limit} ({plan_percent} %)")
