"""What one part of the migration proves for another: the last phase's evidence, and the report's stated criteria."""

from datetime import datetime

from migration import evidence
from migration.clock import system_clock
from migration.models import PhaseRun, SyncState
from migration.rules.gates import Proof
from migration.rules.phases import PHASES
from migration.rules.sequential import Verdict

LAST = PHASES[-1].slug


def connect() -> None:
    """Let the gates and the report ask. Called once, when Django is ready."""
    from migration.reporting import stated

    evidence.supply("warm_since", warm_since)
    evidence.supply("report", success_report)
    stated.register("teleop", operation_is_accurate)
    stated.register("team_trained", team_is_trained)
    stated.register("decommissioned", legacy_is_decommissioned)


def warm_since() -> datetime | None:
    """Since when legacy is warm: since the last phase began, or since legacy lost its memory in it."""
    run = _last_run()
    if run is None:
        return None
    state = SyncState.objects.first()
    if state is None or state.legacy_silent_since is not None:
        return None
    lost = state.lost_memory_at
    return max(run.started_at, lost) if lost else run.started_at


def success_report() -> Proof | None:
    """Whether no criterion of success has failed, as of now. What lacks evidence is named and does not fail."""
    from migration.reporting.report import criteria

    if _last_run() is None:
        return None
    judged = criteria()
    failed = [one.title for one in judged if one.verdict is Verdict.FAIL]
    unknown = [one.title for one in judged if one.verdict is Verdict.INCONCLUSIVE]
    if failed:
        return Proof(False, f"failed: {', '.join(failed)}")
    said = f"{len(judged) - len(unknown)} of {len(judged)} criteria held, none failed"
    return Proof(True, f"{said}; inconclusive: {', '.join(unknown)}" if unknown else said, system_clock().now())


def operation_is_accurate() -> tuple[bool, str] | None:
    """For the report: every robot that tells of operation is recorded as it says."""
    from teleop.accuracy import accuracy

    found = accuracy(system_clock().now())
    if found.percent is None:
        return None
    return found.agreeing == found.judged, f"{found.percent:.2f} % of {found.judged:,} robots"


def team_is_trained() -> tuple[bool, str] | None:
    """For the report: the signature of the checklist."""
    from migration.checklist.signing import signatures

    signed = signatures().get("training")
    if signed is None or signed.is_void:
        return None
    return True, f"signed by {signed.person} at {signed.at:%Y-%m-%d %H:%M} UTC"


def legacy_is_decommissioned() -> tuple[bool, str] | None:
    """For the report: the last phase was entered and legacy's last state is archived and was read back."""
    from migration.backups import legacy_archive

    run = _last_run()
    archive = legacy_archive(run.started_at) if run else None
    return None if archive is None else (True, f"archived at {archive.begun_at:%Y-%m-%d %H:%M} UTC and read back")


def _last_run() -> PhaseRun | None:
    return PhaseRun.objects.filter(state=PhaseRun.State.ACTIVE, slug=LAST).first()
