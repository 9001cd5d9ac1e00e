"""How far each system is behind the other, for the Accuracy gate and for screens."""

from dataclasses import dataclass
from datetime import datetime

from migration.clock import system_clock
from migration.models import SyncState
from migration.rules.syncing import FORWARD_LIMIT_SECONDS, REVERSE_LIMIT_SECONDS


@dataclass(frozen=True, slots=True)
class Lags:
    """Age of the oldest unsynced change, seconds; None: nobody has looked yet.

    A change that nobody has read yet counts as well: the lag is never less than the age of the latest look.
    """

    forward_seconds: float | None
    reverse_seconds: float | None
    #: when legacy was last read
    as_of: datetime | None
    forward_limit_seconds: float = FORWARD_LIMIT_SECONDS
    reverse_limit_seconds: float = REVERSE_LIMIT_SECONDS


def lags(now: datetime | None = None) -> Lags:
    """The lags as of `now`."""
    now = now or system_clock().now()
    state = SyncState.objects.first()
    if state is None:
        return Lags(None, None, None)
    return Lags(
        forward_seconds=_age(now, state.legacy_read_at, state.oldest_forward_at),
        reverse_seconds=_age(now, state.looked_back_at, state.oldest_back_at),
        as_of=state.legacy_read_at,
    )


def _age(now: datetime, looked_at: datetime | None, oldest_at: datetime | None) -> float | None:
    if looked_at is None:
        return None
    return max(0.0, (now - min(looked_at, oldest_at or looked_at)).total_seconds())
