"""What happens on the way beside the phases themselves, a file each: told once, and each claims something."""

from collections.abc import Callable, Mapping, Sequence

from simulator.autopilot.chapters import (
    alerts,
    corruption,
    dry_run,
    external_check,
    freeze,
    outage,
    ramp,
    stale_vote,
    sync_fault,
)
from simulator.autopilot.flight import Flight

Chapter = Callable[[Flight], None]

#: when the fleet has entered a phase. Chapters of one phase are told one after the other, each in the stay that it
#: finds: some of them end with the fleet in an earlier phase, from where it comes again
ON_ENTERING: Mapping[str, Sequence[Chapter]] = {
    "preparation": (ramp.plan_it, external_check.configure, alerts.fire_and_acknowledge),
    "canary_10": (stale_vote.void_and_vote_again, sync_fault.restart_legacy, corruption.damage, outage.fail),
    "rollout_25": (ramp.climb,),
    "rollout_50": (dry_run.compare, alerts.roll_back),
}
#: when its gates pass and its votes are in, before the next phase is asked for
BEFORE_LEAVING: Mapping[str, Sequence[Chapter]] = {
    "shadow": (freeze.refuse_and_lift,),
    "rollout_25": (dry_run.foresee, external_check.object_once),
}
