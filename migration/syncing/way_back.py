"""Whether the fleet could go back to legacy now. A forward shift is refused while it could not."""

from datetime import datetime, timedelta

from heartbeat.models import RelayState
from migration.clock import system_clock
from migration.models import PhaseRun, SyncState
from migration.rules.way_back import BackState, WayBack, judge_way_back
from migration.syncing.lag import lags
from migration.syncing.source import OLDER
from migration.syncing.tuning import wishes

#: relayed heartbeats get too old after 10 s (`heartbeat.rules.relaying.Limits`); half of it is late
RELAY_LATE_SECONDS = 5.0
DECOMMISSION = "decommission"


def way_back(now: datetime | None = None) -> WayBack:
    """Judge the way back as of `now`; `cause` is what an operator has to mend."""
    clock = system_clock()
    now = now or clock.now()
    state = SyncState.objects.first()
    relay = RelayState.objects.first()
    off_at = _legacy_off_at()
    if state is None:
        return WayBack(False, "sync has not looked at legacy yet", off_at)
    silent, looked = state.legacy_silent_since, state.looked_back_at
    relay_lag = relay.lag_seconds if relay and relay.waiting else 0.0
    return judge_way_back(
        BackState(
            looked_age_seconds=(now - looked).total_seconds() if looked else None,
            legacy_silent_seconds=(now - silent).total_seconds() if silent else None,
            lag_seconds=lags(now).reverse_seconds if state.pending_back else None,
            owed=state.pending_back,
            relay_lag_seconds=relay_lag,
            relay_is_behind=relay_lag > RELAY_LATE_SECONDS,
            unsayable=state.unsayable,
            paused=wishes().paused,
            is_older=state.contract == OLDER,
            legacy_off_at=off_at,
        )
    )


def _legacy_off_at() -> datetime | None:
    """When the warm time of legacy ends; None before decommission has begun."""
    run = PhaseRun.objects.filter(state=PhaseRun.State.ACTIVE, slug=DECOMMISSION).first()
    if run is None:
        return None
    lasts: timedelta = system_clock().scaled(run.phase.duration)
    return run.started_at + lasts
