"""Sync as screens and scripts see it: one mapping, nothing in it that was not measured."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from migration.clock import system_clock
from migration.evidence import guards
from migration.handing_over import lacking
from migration.models import QuarantinedRow, SyncRun, SyncState, SyncTuning
from migration.models.sync_state import THE_SYNC
from migration.syncing.lag import lags
from migration.syncing.tuning import FIELDS
from migration.syncing.way_back import way_back

#: absent robots that are named
NAMED = 20
TOTALS = ("calls", "taken_over", "echoes", "kept", "replayed", "not_replayed")


def sync_status(now: datetime | None = None) -> dict[str, Any]:
    """How sync stands, as JSON can carry it. Times are ISO 8601 UTC, None for what never was."""
    now = now or system_clock().now()
    state = SyncState.objects.filter(pk=THE_SYNC).first() or SyncState(pk=THE_SYNC)
    tuning = SyncTuning.objects.filter(pk=THE_SYNC).first() or SyncTuning(pk=THE_SYNC)
    back, behind = way_back(now), lags(now)
    guard = next((one for one in guards(now) if one.name == "sync"), None)
    run = SyncRun.objects.first()
    return {
        "at": now.isoformat(),
        "runs": bool(guard and guard.is_alive),
        "progress_age_seconds": guard.age_seconds if guard else None,
        "way_back": {"whole": back.whole, "cause": back.cause, "lossless_until": _text(back.lossless_until)},
        "lag": {**asdict(behind), "as_of": _text(behind.as_of)},
        "pending": {"forward": state.pending_forward, "back": state.pending_back},
        "legacy": {
            "contract": state.contract,
            "rows": state.legacy_rows,
            "read_at": _text(state.legacy_read_at),
            "reading_seconds": state.reading_seconds,
            "silent_since": _text(state.legacy_silent_since),
            "lost_memory_at": _text(state.lost_memory_at),
            "lost_memory_rows": state.lost_memory_rows,
            "absent": state.absent[:NAMED],
            "absent_count": state.absent_count,
            "unsayable_deployments": lacking(),
        },
        "totals": {name: getattr(state, name) for name in TOTALS},
        "throttled_by": state.throttled_by,
        "tuning": {name: getattr(tuning, name) for name in FIELDS},
        "quarantined": QuarantinedRow.objects.filter(settled_at=None).count(),
        "run": _run(run) if run else None,
    }


def _run(run: SyncRun) -> dict[str, Any]:
    return {
        "id": run.pk,
        "state": run.state,
        "asked_by": run.asked_by,
        "started_at": run.started_at.isoformat(),
        "ended_at": _text(run.ended_at),
        "seconds": run.seconds,
        "rows": run.rows,
        "done": run.done,
        "taken_over": run.taken_over,
        "quarantined": run.quarantined,
        "resumed": run.resumed,
        "eta_seconds": run.eta_seconds,
        "failure": run.failure,
    }


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
