"""Could the fleet go back to legacy now without losing what `new` knows? (Vitess 16794)"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from migration.rules.syncing import REVERSE_LIMIT_SECONDS

#: sync that looked longer ago than this says nothing about now, seconds
FRESH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class BackState:
    """What sync and the relay know: ages in seconds, None for never or nothing."""

    looked_age_seconds: float | None
    legacy_silent_seconds: float | None
    lag_seconds: float | None
    owed: int
    #: the relay of v2 heartbeats: age of its progress (None where none runs), what it lags, whether legacy answers it
    relay_lag_seconds: float | None
    relay_is_behind: bool
    #: deployments of `new` that legacy's API cannot express
    unsayable: Sequence[str]
    paused: bool
    #: legacy answers by the contract that has no call to tell it anything (LEGACY.md, the older one)
    is_older: bool
    #: when legacy will be off for good, if that is planned
    legacy_off_at: datetime | None


@dataclass(frozen=True, slots=True)
class WayBack:
    """Whether the way back is whole, or what breaks it.

    `lossless_until`: when legacy is planned to be off; None while it stays.
    """

    whole: bool
    cause: str
    lossless_until: datetime | None = None


def judge_way_back(state: BackState) -> WayBack:
    """The first cause that breaks it is the one to mend first."""
    cause = _cause(state)
    return WayBack(whole=not cause, cause=cause, lossless_until=state.legacy_off_at)


def _cause(state: BackState) -> str:
    if state.paused:
        return "sync is paused"
    if state.legacy_silent_seconds is not None:
        return f"legacy has not answered sync for {state.legacy_silent_seconds:.0f} s"
    if state.looked_age_seconds is None:
        return "sync has not looked at legacy yet"
    if state.looked_age_seconds > FRESH_SECONDS:
        return f"sync last looked at legacy {state.looked_age_seconds:.0f} s ago"
    if state.is_older:
        return "legacy answers by its older contract, which cannot be told what new heard"
    if state.lag_seconds is not None and state.lag_seconds > REVERSE_LIMIT_SECONDS:
        behind = f"legacy is {state.lag_seconds:.1f} s behind new"
        return f"{behind} ({state.owed:,} rows to tell it), limit {REVERSE_LIMIT_SECONDS:.0f} s"
    if state.relay_is_behind:
        return f"the relay of v2 heartbeats is {state.relay_lag_seconds or 0:.1f} s behind"
    if state.unsayable:
        named = ", ".join(state.unsayable[:3])
        return f"legacy does not have {len(state.unsayable)} deployments that its API cannot express: {named}"
    return ""
