"""Keeping what each look found, and saying what an operator must hear of."""

from dataclasses import dataclass, field
from datetime import datetime

import structlog

from migration import audit
from migration.actors import Actor
from migration.models import SyncState
from migration.models.sync_state import THE_SYNC
from migration.rules.syncing import Verdict
from migration.syncing.applying import Applied
from migration.syncing.back import NAMED, Owed
from migration.syncing.source import Reading

log = structlog.get_logger(__name__)

_SYNC = Actor("sync")


@dataclass(frozen=True, slots=True)
class Found:
    """What one look found; without a reading legacy was not asked, or did not answer and `failure` says why."""

    at: datetime
    reading: Reading | None = None
    forward: Applied = field(default_factory=Applied)
    back: Owed = field(default_factory=Owed)
    unsayable: list[str] = field(default_factory=list)
    failure: str = ""


class StateKeeper:
    """The one writer of `SyncState`, with the totals carried on from whoever wrote before."""

    def __init__(self) -> None:
        self._calls = 0

    def keep(self, found: Found, *, calls: int, throttled_by: str) -> SyncState:
        """Store the state after a look; `calls` is what this process has asked of legacy so far."""
        state = SyncState.objects.filter(pk=THE_SYNC).first() or SyncState(pk=THE_SYNC)
        state.at, state.throttled_by = found.at, throttled_by
        state.calls += calls - self._calls
        self._calls = calls
        if found.reading is None:
            if found.failure and state.legacy_silent_since is None:
                state.legacy_silent_since = found.at
                log.warning("sync.legacy_silent", reason=found.failure)
        else:
            self._read(state, found, found.reading)
        state.save()
        return state

    def _read(self, state: SyncState, found: Found, reading: Reading) -> None:
        if state.legacy_silent_since is not None:
            log.info("sync.legacy_answers", silent_seconds=(found.at - state.legacy_silent_since).total_seconds())
        forward, back = found.forward, found.back
        state.legacy_silent_since = None
        state.contract, state.legacy_rows = reading.contract, len(reading.rows)
        state.legacy_read_at = state.looked_back_at = reading.began_at
        state.reading_seconds = reading.seconds
        state.pending_forward, state.oldest_forward_at = forward.waiting, forward.oldest_waiting_at
        state.pending_back, state.oldest_back_at = back.waiting, back.oldest_at
        state.taken_over += forward.counts[Verdict.TAKE]
        state.echoes += forward.counts[Verdict.ECHO]
        state.kept += forward.counts[Verdict.OWNED_BY_NEW]
        state.replayed += back.replayed
        state.not_replayed += back.not_replayed
        state.absent, state.absent_count = back.absent[:NAMED], len(back.absent)
        state.unsayable = found.unsayable
        if back.lost_rows:
            state.lost_memory_at, state.lost_memory_rows = found.at, back.lost_rows
            sentence = (
                f"noticed that legacy lost {back.lost_rows:,} rows; those of robots that are alive are told again"
            )
            log.warning("sync.legacy_lost_memory", rows=back.lost_rows)
            audit.record(_SYNC, "sync.lost_memory", sentence, at=found.at, detail={"rows": back.lost_rows})
